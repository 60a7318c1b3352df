import FuzzTargets
import Glibc

/// A target under libFuzzer: `Fuzz TARGET [libFuzzer's own words]`; see `scripts/fuzz`.
@main
enum Fuzz {
  static func main() {
    let words = CommandLine.arguments
    guard words.count > 1, let target = FuzzTarget(rawValue: words[1]) else {
      let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
      fputs("usage: Fuzz TARGET [options of libFuzzer]; targets: \(names)\n", stderr)
      exit(2)
    }
    chosen = target
    // The corpus of indexes is made, not kept.
    if target == .index, let folder = words.last, !folder.hasPrefix("-") {
      for (number, input) in Corpus.inputs(of: .index).enumerated() {
        guard let file = fopen("\(folder)/made-\(number)", "wb") else { continue }
        fwrite(input, 1, input.count, file)
        fclose(file)
      }
    }
    var arguments: [UnsafeMutablePointer<CChar>?] = ([words[0]] + words.dropFirst(2)).map {
      strdup($0)
    }
    arguments.append(nil)
    var count = Int32(arguments.count - 1)
    let status = arguments.withUnsafeMutableBufferPointer { buffer in
      var start = buffer.baseAddress
      return runDriver(&count, &start) { bytes, size in
        Fuzz.chosen.run(Array(UnsafeBufferPointer(start: bytes, count: size)))
        return 0
      }
    }
    exit(status)
  }

  /// Set once, before libFuzzer begins; it calls from one thread.
  nonisolated(unsafe) private static var chosen = FuzzTarget.tar
}

/// Calls `LLVMFuzzerRunDriver`, libFuzzer's own main.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
  _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32
