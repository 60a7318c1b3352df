import FuzzTargets
import Glibc

/// Where changes are looked for; libFuzzer, which has the program's start, knows one function alone.
private let target: FuzzTarget = {
  let name = getenv("WDSFS_FUZZ_TARGET").map { String(cString: $0) } ?? ""
  guard let target = FuzzTarget(rawValue: name) else {
    let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
    fatalError("WDSFS_FUZZ_TARGET is one of \(names), not '\(name)'")
  }
  return target
}()

/// Called by libFuzzer for each input.
@_cdecl("LLVMFuzzerTestOneInput")
func takeOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  target.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}

/// Called by libFuzzer before it reads its folder, the last word: the corpus of indexes is made, not kept.
@_cdecl("LLVMFuzzerInitialize")
func begin(
  _ count: UnsafeMutablePointer<CInt>,
  _ words: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
  guard target == .index, let last = words.pointee[Int(count.pointee) - 1] else { return 0 }
  let folder = String(cString: last)
  for (number, input) in Corpus.inputs(of: .index).enumerated() {
    guard let file = fopen("\(folder)/made-\(number)", "wb") else { continue }
    fwrite(input, 1, input.count, file)
    fclose(file)
  }
  return 0
}
