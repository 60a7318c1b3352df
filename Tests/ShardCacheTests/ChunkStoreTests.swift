import Glibc
import Logging
import TestSupport
import Testing

@testable import ShardCache

@Suite struct ChunkStoreTests {
  private let folder: TemporaryDirectory
  private let identity = ShardIdentity(
    storeIdentity: "file:/data",
    key: Array("a.tar".utf8),
    eTag: "\"1\"",
    sizeBytes: 1 << 30
  )

  init() throws {
    folder = try TemporaryDirectory()
  }

  private var path: String { "\(folder.path)/cache" }
  private var chunksPath: String { "\(path)/wdsfs-1/chunks" }

  private func store(maxBytes: Int64 = 1 << 30) throws -> ChunkStore {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let directory = try CacheDirectory(path: path)
    let store = ChunkStore(directory: directory, maxBytes: maxBytes, logger: logger)
    store.scan()
    return store
  }

  private func chunk(_ number: Int32, plane: BytePlane = .stored) -> ChunkID {
    ChunkID(shard: 0, plane: plane, number: number)
  }

  private func put(
    _ store: ChunkStore,
    _ number: Int32,
    of other: ShardIdentity? = nil,
    count: Int = 1 << 20
  ) {
    testBytes(count, seed: UInt64(number) + 1).withUnsafeBytes {
      store.store(chunk(number), of: other ?? identity, $0)
    }
  }

  /// What a load brings, checked against what was put.
  private func isGood(
    _ store: ChunkStore,
    _ number: Int32,
    of other: ShardIdentity? = nil,
    count: Int = 1 << 20
  ) -> Bool {
    var memory = [UInt8](repeating: 0, count: count)
    let isLoaded = memory.withUnsafeMutableBytes {
      store.load(chunk(number), of: other ?? identity, into: $0)
    }
    if isLoaded { #expect(isSame(memory, testBytes(count, seed: UInt64(number) + 1)[...])) }
    return isLoaded
  }

  private func filePath(_ number: Int32) -> String {
    "\(chunksPath)/\(identity.fileName)/\(number)"
  }

  private func flip(_ path: String, at offset: Int) throws {
    let file = open(path, O_RDWR)
    try #require(file >= 0)
    defer { close(file) }
    var byte: UInt8 = 0
    try #require(pread(file, &byte, 1, offset) == 1)
    byte ^= 0x10
    try #require(pwrite(file, &byte, 1, offset) == 1)
  }

  /// Bytes of all files in the folder of chunks, as the file system counts them.
  private func bytesOnDisk() -> Int64 {
    let chunks = open(chunksPath, O_RDONLY | O_DIRECTORY)
    defer { close(chunks) }
    var sum: Int64 = 0
    forEachName(in: chunks) { name in
      forEachName(in: chunks, path: name) { file in
        var status = stat()
        if fstatat(chunks, "\(name)/\(file)", &status, 0) == 0 {
          sum += Int64(status.st_blocks) * 512
        }
      }
    }
    return sum
  }

  // MARK: What is kept

  @Test("What was stored is loaded, by this mount and by the next")
  func roundTrip() throws {
    let first = try store()
    put(first, 0)
    put(first, 1, count: 1000)
    #expect(isGood(first, 0))
    #expect(first.holds(chunk(0), of: identity))
    #expect(!first.holds(chunk(0, plane: .inflated), of: identity))
    let second = try store()
    #expect(second.holds(chunk(1), of: identity))
    #expect(isGood(second, 0))
    #expect(isGood(second, 1, count: 1000))
    #expect(second.usedBytes == (1 << 20) + 4096 + 4096)
    #expect(!isGood(second, 2))
    #expect(second.corruptCount == 0)
  }

  @Test(
    "One bit flipped anywhere in a chunk's file is found, and the file goes",
    arguments: [
      0, 7, 8, 11, 12, 16, 24, 31, 32, 36, 40, 47, 160, 167, 168, 175, 176, 500_000,
      (1 << 20) + 175,
    ]
  )
  func flipped(offset: Int) throws {
    let store = try store()
    put(store, 0)
    try flip(filePath(0), at: offset)
    #expect(!isGood(store, 0))
    #expect(store.corruptCount == 1)
    #expect(!store.holds(chunk(0), of: identity))
    #expect(access(filePath(0), F_OK) != 0)
    put(store, 0)
    #expect(isGood(store, 0))
  }

  @Test(
    "A file that was cut is found, at whatever length",
    arguments: [0, 1, 175, 176, 177, 1 << 19]
  )
  func cut(length: Int) throws {
    let store = try store()
    put(store, 0)
    try #require(truncate(filePath(0), length) == 0)
    #expect(!isGood(store, 0))
    #expect(store.corruptCount == 1)
  }

  @Test("A part brings its own blocks only, and is as good as they are")
  func part() throws {
    let store = try store()
    put(store, 0, count: (1 << 20) - 1000)
    let whole = testBytes((1 << 20) - 1000, seed: 1)
    for part in [0..<65_536, 131_072..<327_680, 983_040..<whole.count] {
      var memory = [UInt8](repeating: 0xEE, count: whole.count)
      let isLoaded = memory.withUnsafeMutableBytes {
        store.load(chunk(0), of: identity, into: $0, part: part)
      }
      #expect(isLoaded)
      #expect(isSame(Array(memory[part]), whole[part]))
      #expect(memory[..<part.lowerBound].allSatisfy { $0 == 0xEE })
      #expect(memory[part.upperBound...].allSatisfy { $0 == 0xEE })
    }
    // In the third block: who reads the others is not told a lie.
    try flip(filePath(0), at: 176 + 2 * 65_536 + 5)
    var memory = [UInt8](repeating: 0, count: whole.count)
    let others = memory.withUnsafeMutableBytes {
      store.load(chunk(0), of: identity, into: $0, part: 0..<131_072)
    }
    #expect(others)
    let third = memory.withUnsafeMutableBytes {
      store.load(chunk(0), of: identity, into: $0, part: 131_072..<196_608)
    }
    #expect(!third)
    #expect(store.corruptCount == 1)
    #expect(!store.holds(chunk(0), of: identity))
  }

  @Test("Another chunk's, another object's and another version's file are no answer")
  func swapped() throws {
    let store = try store()
    put(store, 0)
    put(store, 1)
    try #require(rename(filePath(1), filePath(0)) == 0)
    #expect(!isGood(store, 0))
    let other = ShardIdentity(
      storeIdentity: "file:/data",
      key: Array("a.tar".utf8),
      eTag: "\"2\"",
      sizeBytes: 1 << 30
    )
    put(store, 2, of: other)
    #expect(!isGood(store, 2))
    mkdir("\(chunksPath)/\(identity.fileName)", 0o700)
    let source = "\(chunksPath)/\(other.fileName)/2"
    try #require(rename(source, filePath(2)) == 0)
    #expect(!isGood(store, 2))
    #expect(!isGood(store, 2, of: other))
  }

  @Test("A file of another format version is no answer, even with a right checksum")
  func foreignVersion() throws {
    let store = try store()
    put(store, 0)
    var header = [UInt8](repeating: 0, count: 176)
    let data = testBytes(1 << 20)
    data.withUnsafeBytes { data in
      header.withUnsafeMutableBytes { header in
        ChunkFileHeader(identity: identity, chunk: chunk(0), dataBytes: data.count)
          .write(to: header, for: data)
        header[8] = 1
        let sum = ChunkFileHeader.checksum(of: UnsafeRawBufferPointer(rebasing: header[..<168]))
        header.storeBytes(of: sum.littleEndian, toByteOffset: 168, as: UInt64.self)
      }
    }
    let file = open(filePath(0), O_WRONLY)
    try #require(pwrite(file, header, 176, 0) == 176)
    close(file)
    #expect(!isGood(store, 0))
  }

  @Test("A link, a pipe or a folder in a chunk's place is a miss and never waited for")
  func oddFiles() throws {
    let store = try store()
    for number in 0..<3 as Range<Int32> { put(store, number) }
    for number in 0..<3 as Range<Int32> { unlink(filePath(number)) }
    try folder.write(testBytes(2 << 20), to: "elsewhere")
    symlink("\(folder.path)/elsewhere", filePath(0))
    mkfifo(filePath(1), 0o600)
    mkdir(filePath(2), 0o700)
    for number in 0..<3 as Range<Int32> { #expect(!isGood(store, number)) }
    #expect(store.isWorking)
  }

  // MARK: Budget

  @Test("The budget holds whatever is stored, and what was used last stays")
  func budget() throws {
    let budget = 8 * ((1 << 20) + 4096) as Int64
    let store = try store(maxBytes: budget)
    for number in 0..<30 as Range<Int32> {
      put(store, number)
      if number >= 1 { #expect(isGood(store, 0), "after \(number)") }
      #expect(store.usedBytes <= budget)
      #expect(bytesOnDisk() <= budget)
    }
    let held = (0..<30 as Range<Int32>).filter { store.holds(chunk($0), of: identity) }
    #expect(held == [0] + Array(23..<30))
  }

  @Test("A smaller budget than what lies there is kept to from the start, oldest files first")
  func smallerBudget() throws {
    let first = try store()
    for number in 0..<10 as Range<Int32> {
      put(first, number)
      try folder.setModified(
        "cache/wdsfs-1/chunks/\(identity.fileName)/\(number)",
        seconds: 1000 + Int(number)
      )
    }
    let second = try store(maxBytes: 3 * ((1 << 20) + 4096))
    let held = (0..<10 as Range<Int32>).filter { second.holds(chunk($0), of: identity) }
    #expect(held == [7, 8, 9])
    #expect(bytesOnDisk() <= 3 * ((1 << 20) + 4096))
  }

  @Test("Several mounts on one directory keep together to the smallest limit")
  func severalMounts() throws {
    let small = 6 * ((1 << 20) + 4096) as Int64
    let first = try store(maxBytes: 20 << 20)
    for number in 0..<12 as Range<Int32> { put(first, number) }
    #expect(bytesOnDisk() > small)
    let second = try store(maxBytes: small)
    #expect(bytesOnDisk() <= small)
    var generator = SeededGenerator(seed: 5)
    for step in 0..<60 as Range<Int32> {
      put(generator.below(2) == 0 ? first : second, 100 + step)
      #expect(bytesOnDisk() <= small, "step \(step)")
    }
    for number in 0..<160 as Range<Int32> {
      _ = isGood(first, number)
      _ = isGood(second, number)
    }
    #expect(first.corruptCount + second.corruptCount == 0)
  }

  @Test("What another mount has brought since is looked for, once it is known to be there")
  func learns() throws {
    let alone = try store()
    #expect(!alone.learn(of: 0..<2, from: chunk(0), of: identity))
    let other = try store()
    put(other, 0)
    // It meets the other one where it looks for room.
    put(alone, 5)
    #expect(alone.learn(of: 0..<2, from: chunk(0), of: identity))
    #expect(alone.holds(chunk(0), of: identity))
    #expect(isGood(alone, 0))
    #expect(!alone.learn(of: 0..<2, from: chunk(0), of: identity))
  }

  @Test("A mount that has ended limits nobody any more")
  func endedMount() throws {
    let first = try store(maxBytes: 20 << 20)
    do {
      let second = try store(maxBytes: 4 << 20)
      put(second, 0)
    }
    for number in 0..<12 as Range<Int32> { put(first, number) }
    #expect(first.usedBytes > 10 << 20)
  }

  @Test("Threads of several mounts that write at once keep to the limit and harm no file")
  func concurrentMounts() throws {
    let budget = 10 * ((1 << 20) + 4096) as Int64
    let stores = [try store(maxBytes: budget), try store(maxBytes: budget * 2)]
    onThreads(4) { thread in
      for number in 0..<25 as Range<Int32> {
        put(stores[thread % 2], number * 2 + Int32(thread / 2))
      }
    }
    #expect(bytesOnDisk() <= budget)
    let fresh = try store(maxBytes: budget)
    for number in 0..<50 as Range<Int32> { _ = isGood(fresh, number) }
    #expect(fresh.corruptCount == 0)
  }

  @Test("A count that is damaged or gone is made anew from what lies there")
  func damagedCount() throws {
    let budget = 4 * ((1 << 20) + 4096) as Int64
    let store = try store(maxBytes: budget)
    for number in 0..<4 as Range<Int32> { put(store, number) }
    try flip("\(path)/wdsfs-1/mounts/usage", at: 9)
    put(store, 4)
    #expect(bytesOnDisk() <= budget)
    try #require(truncate("\(path)/wdsfs-1/mounts/usage", 0) == 0)
    put(store, 5)
    #expect(isGood(store, 5))
    #expect(bytesOnDisk() <= budget)
  }

  @Test("Files removed behind its back are a miss, and their room is found again")
  func removedBehindItsBack() throws {
    let budget = 4 * ((1 << 20) + 4096) as Int64
    let store = try store(maxBytes: budget)
    for number in 0..<4 as Range<Int32> { put(store, number) }
    for number in 0..<4 as Range<Int32> { unlink(filePath(number)) }
    #expect(!isGood(store, 0))
    for number in 10..<14 as Range<Int32> { put(store, number) }
    for number in 10..<14 as Range<Int32> { #expect(isGood(store, number)) }
    #expect(store.corruptCount == 0)
  }

  // MARK: Leftovers

  @Test("What a killed process was writing is removed, what a live one writes is not")
  func leftovers() throws {
    _ = try store()
    try folder.write([1, 2, 3], to: "cache/wdsfs-1/chunks/.999999.1")
    let directory = try CacheDirectory(path: path)
    guard let live = TemporaryFile(in: directory.chunks) else {
      Issue.record("no temporary file")
      return
    }
    _ = try store()
    var names: [String] = []
    forEachName(in: directory.chunks) { names.append($0) }
    #expect(names.count == 1)
    #expect(!names.contains(".999999.1"))
    live.remove()
  }

  @Test("Names that are not ours are left alone")
  func foreignNames() throws {
    _ = try store()
    try folder.write([1], to: "cache/wdsfs-1/chunks/README")
    try folder.write([1], to: "cache/wdsfs-1/chunks/\(identity.fileName)/07")
    try folder.write([1], to: "cache/wdsfs-1/chunks/\(identity.fileName)/-1")
    let store = try store()
    #expect(store.usedBytes == 0)
    #expect(access("\(chunksPath)/README", F_OK) == 0)
  }

  // MARK: A disk that fails

  @Test("A full disk stops the writing, not the reading; what is kept leaves a twentieth free")
  func fullDisk() throws {
    try folder.makeDirectory("cache")
    let mounting = try RunningProcess(
      "/bin/mount",
      ["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", path]
    )
    let isMounted = mounting.wait() == 0
    try #require(isMounted || geteuid() != 0)
    guard isMounted else { return }
    defer { _ = try? RunningProcess("/bin/umount", ["-l", path]).wait() }
    let store = try store()
    for number in 0..<40 as Range<Int32> {
      put(store, number)
      #expect(bytesOnDisk() <= 16 << 20)
    }
    #expect(isGood(store, 39))
    var status = statvfs()
    statvfs(path, &status)
    #expect(UInt64(status.f_bavail) * 20 >= UInt64(status.f_blocks))
    // Others fill the rest, and what is here must give way.
    try folder.write([UInt8](repeating: 1, count: Int(status.f_bavail) * 4096), to: "cache/other")
    put(store, 50)
    #expect(store.usedBytes < 15 << 20)
  }

  @Test("A directory that is gone is left alone after three failures")
  func directoryGone() throws {
    let store = try store()
    put(store, 0)
    _ = try RunningProcess("/bin/rm", ["-rf", path]).wait()
    #expect(!isGood(store, 0))
    for number in 1..<4 as Range<Int32> {
      #expect(store.isWorking)
      put(store, number)
    }
    #expect(!store.isWorking)
    #expect(store.usedBytes == 0)
    put(store, 9)
    #expect(!isGood(store, 9))
  }

  @Test("A plane that nothing vouches for is removed, and no other")
  func removeAll() throws {
    let store = try store()
    put(store, 0)
    testBytes(1 << 20).withUnsafeBytes { store.store(chunk(0, plane: .inflated), of: identity, $0) }
    #expect(store.holds(chunk(0, plane: .inflated), of: identity))
    store.removeAll(of: identity, plane: .inflated)
    #expect(!store.holds(chunk(0, plane: .inflated), of: identity))
    #expect(isGood(store, 0))
    #expect(store.usedBytes == (1 << 20) + 4096)
  }
}
