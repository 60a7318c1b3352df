/// Which chunk files the cache directory holds, how much they take, and which goes first.
///
/// Knows no I/O: `ChunkStore` reads the directory into it and removes what it names.
struct FileLedger {
  struct FileID: Hashable, Sendable {
    let identity: ShardIdentity
    let plane: BytePlane
    let number: Int32
  }

  private struct Entry {
    var file: FileID
    var diskBytes: Int64
    var older: Int32
    var newer: Int32
  }

  private static let none: Int32 = -1
  private var entries: [Entry] = []
  private var free: [Int32] = []
  private var numbers: [FileID: Int32] = [:]
  private var oldest = Self.none
  private var newest = Self.none
  private(set) var usedBytes: Int64 = 0

  /// A larger file is not ours; taken for no more, no count of files can overflow.
  private static let maxFileBytes = 1 << 32

  /// What a file of so many bytes takes on disk, in whole blocks of 4 KiB.
  static func diskBytes(ofFile bytes: Int) -> Int64 {
    (Int64(min(max(0, bytes), maxFileBytes)) + 4095) / 4096 * 4096
  }

  /// What the file of a chunk of so many bytes takes on disk.
  static func diskBytes(ofData bytes: Int) -> Int64 {
    diskBytes(ofFile: ChunkFileHeader.sizeBytes + bytes)
  }

  var fileCount: Int { numbers.count }

  /// The file that was used least recently.
  var oldestFile: FileID? { oldest == Self.none ? nil : entries[Int(oldest)].file }

  func contains(_ file: FileID) -> Bool { numbers[file] != nil }

  /// Enters a file as the one used last, or moves it there.
  mutating func use(_ file: FileID, diskBytes: Int64) {
    if let number = numbers[file] {
      usedBytes += diskBytes - entries[Int(number)].diskBytes
      entries[Int(number)].diskBytes = diskBytes
      unlink(number)
      linkNewest(number)
      return
    }
    insert(file, diskBytes: diskBytes)
    linkNewest(numbers[file] ?? Self.none)
  }

  /// Enters a file that was there before this mount, older than all that was used since.
  mutating func found(_ file: FileID, diskBytes: Int64) {
    guard numbers[file] == nil else { return }
    insert(file, diskBytes: diskBytes)
    guard let number = numbers[file] else { return }
    entries[Int(number)].newer = oldest
    if oldest != Self.none { entries[Int(oldest)].older = number }
    oldest = number
    if newest == Self.none { newest = number }
  }

  mutating func remove(_ file: FileID) {
    guard let number = numbers.removeValue(forKey: file) else { return }
    usedBytes -= entries[Int(number)].diskBytes
    unlink(number)
    free.append(number)
  }

  private mutating func insert(_ file: FileID, diskBytes: Int64) {
    let entry = Entry(file: file, diskBytes: diskBytes, older: Self.none, newer: Self.none)
    let number: Int32
    if let reused = free.popLast() {
      number = reused
      entries[Int(number)] = entry
    } else {
      number = Int32(entries.count)
      entries.append(entry)
    }
    numbers[file] = number
    usedBytes += diskBytes
  }

  private mutating func linkNewest(_ number: Int32) {
    entries[Int(number)].older = newest
    entries[Int(number)].newer = Self.none
    if newest != Self.none { entries[Int(newest)].newer = number }
    newest = number
    if oldest == Self.none { oldest = number }
  }

  private mutating func unlink(_ number: Int32) {
    let older = entries[Int(number)].older
    let newer = entries[Int(number)].newer
    if older != Self.none { entries[Int(older)].newer = newer } else { oldest = newer }
    if newer != Self.none { entries[Int(newer)].older = older } else { newest = older }
  }
}
