import Glibc

/// The inputs that changes begin from: files in `Tests/Fuzz/corpus`, one folder a target.
package enum Corpus {
  private static let folder =
    #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fuzz/corpus"

  package static func inputs(of target: FuzzTarget) -> [[UInt8]] {
    switch target {
    // An index is made from what is there, so that it is always one of this version.
    case .index: files(in: "tar").map { TarTarget.index(of: $0) }
    default: files(in: target.rawValue)
    }
  }

  private static func files(in name: String) -> [[UInt8]] {
    let path = "\(folder)/\(name)"
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted().compactMap { read("\(path)/\($0)") }
  }

  private static func read(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
  }
}
