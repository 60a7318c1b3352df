import CFuse
import Glibc
import Instruments
import SampleTree

/// A request's arguments, copied out of the callback that they die with.
enum Operation: Sendable {
  case lookUp(parent: UInt64, name: [UInt8])
  case attributes(inode: UInt64)
  case list(inode: UInt64, offset: UInt64, count: Int, isPlus: Bool)
  case read(inode: UInt64, offset: Int64, count: Int, since: MonotonicTime)
  case extendedAttribute(inode: UInt64, name: [UInt8], count: Int)
  case extendedAttributeNames(inode: UInt64, count: Int)

  var inode: UInt64 {
    switch self {
    case .lookUp(let inode, _), .attributes(let inode), .list(let inode, _, _, _),
      .read(let inode, _, _, _), .extendedAttribute(let inode, _, _),
      .extendedAttributeNames(let inode, _):
      inode
    }
  }

  /// For log lines.
  var name: String {
    switch self {
    case .lookUp: "lookup"
    case .attributes: "stat"
    case .list: "list"
    case .read: "read"
    case .extendedAttribute, .extendedAttributeNames: "getxattr"
    }
  }
}

/// Translates requests into questions to the tree, and its answers into replies.
///
/// Each function either answers, and then the reply is gone, or throws and leaves it for later.
struct Answering: Sendable {
  let tree: MountTree
  let owner: Owner
  let meters: ReadMeters
  let pages = KernelPages()

  /// Makes another attempt, for a request that has waited.
  func perform(_ operation: Operation, _ reply: inout Reply?) throws(Obstacle) {
    switch operation {
    case .lookUp(let parent, let name):
      // No copy: the array's own bytes, without the closure that would lose the typed error.
      let result = name.withUnsafeBytes { bytes in
        Result { () throws(Obstacle) in try tree.lookUp(bytes, in: parent) }
      }
      try lookedUp(result, parent, &reply)
    case .attributes(let inode):
      try attributes(inode, &reply)
    case .list(let inode, let offset, let count, let isPlus):
      try list(inode, from: offset, count: count, isPlus: isPlus, pages: nil, &reply)
    case .read(let inode, let offset, let count, let start):
      try read(inode, at: offset, count: count, since: start, hasWaited: true, &reply)
    case .extendedAttribute(let inode, let name, let count):
      let result = name.withUnsafeBytes { bytes in
        Result { () throws(Obstacle) in try tree.extendedAttribute(bytes, of: inode) }
      }
      value(try result.get(), count: count, &reply)
    case .extendedAttributeNames(let inode, let count):
      let names = try tree.extendedAttributeNames(of: inode)
      value(names.flatMap { Array($0.utf8) + [0] }, count: count, &reply)
    }
  }

  // MARK: One by one

  func lookUp(
    _ name: UnsafeRawBufferPointer,
    in parent: UInt64,
    _ reply: inout Reply?
  ) throws(Obstacle) {
    let result = Result { () throws(Obstacle) in try tree.lookUp(name, in: parent) }
    try lookedUp(result, parent, &reply)
  }

  private func lookedUp(
    _ result: Result<Attributes, Obstacle>,
    _ parent: UInt64,
    _ reply: inout Reply?
  ) throws(Obstacle) {
    switch result {
    case .success(let attributes):
      let keepsEntry = tree.keepsEntry(attributes.inode) && tree.keepsEntries(of: parent)
      let entry = Entry(attributes, owner: owner, keepsEntry: keepsEntry)
      if let reply = reply.take(), !reply.entry(entry) {
        // The kernel has given up on it and will not forget what it was not told of.
        tree.forget(attributes.inode, lookupCount: 1)
      }
    case .failure(.failure(.noSuchEntry)) where tree.keepsMissing(in: parent):
      if let reply = reply.take() { _ = reply.entry(Entry.missing()) }
    case .failure(let obstacle): throw obstacle
    }
  }

  func attributes(_ inode: UInt64, _ reply: inout Reply?) throws(Obstacle) {
    let attributes = try tree.attributes(of: inode)
    reply.take()?.attributes(owner.status(attributes), seconds: Entry.foreverSeconds)
  }

  func read(
    _ inode: UInt64,
    at offset: Int64,
    count: Int,
    since start: MonotonicTime,
    hasWaited: Bool,
    _ reply: inout Reply?
  ) throws(Obstacle) {
    let byteCount = try tree.read(inode, at: offset, count: count) { first, second in
      reply.take()?.bytes(first, second)
      return first.count + second.count
    }
    guard !tree.isControlFile(inode) else { return }
    meters.answered(byteCount: byteCount, since: start, hasWaited: hasWaited)
  }

  /// Answers a part of a listing.
  ///
  /// - Parameters:
  ///   - inode: Of the directory.
  ///   - offset: Where the last part ended.
  ///   - count: Bytes that the kernel has room for.
  ///   - isPlus: Whether attributes go along.
  ///   - pages: Gets a listed sample's small fields; nil on a thread that must not wait.
  ///   - reply: Taken unless an obstacle is thrown.
  /// - Throws: `Obstacle`.
  func list(
    _ inode: UInt64,
    from offset: UInt64,
    count: Int,
    isPlus: Bool,
    pages: KernelPages?,
    _ reply: inout Reply?
  ) throws(Obstacle) {
    let result = withUnsafeTemporaryAllocation(byteCount: max(1, count), alignment: 8) { buffer in
      Result { () throws(Obstacle) in
        var used = 0
        let keepsEntries = tree.keepsEntries(of: inode)
        try tree.list(inode, from: offset) { entry in
          let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[used..<count])
          guard
            let size = write(entry, into: rest, isPlus: isPlus, keepsEntry: keepsEntries)
          else { return false }
          used += size
          return true
        }
        // With the end of the listing: by then the kernel has the files that it named before.
        if used == 0, isPlus, let pages { tree.forEachSmallField(of: inode, pages.store) }
        reply.take()?.bytes(UnsafeRawBufferPointer(rebasing: buffer[..<used]))
      }
    }
    try result.get()
  }

  /// Writes a listing's line; nil where there is no room.
  private func write(
    _ entry: ListingEntry,
    into rest: UnsafeMutableRawBufferPointer,
    isPlus: Bool,
    keepsEntry: Bool
  ) -> Int? {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { name in
      name.copyMemory(from: UnsafeRawBufferPointer(rebasing: entry.name.prefix(255)))
      name[min(255, entry.name.count)] = 0
      let text = name.baseAddress?.assumingMemoryBound(to: CChar.self)
      let target = rest.baseAddress?.assumingMemoryBound(to: CChar.self)
      let offset = off_t(Int64(bitPattern: entry.nextOffset))
      let size: Int
      if isPlus {
        var line = Entry(entry.attributes, owner: owner, keepsEntry: keepsEntry).parameters
        if !entry.isLookedUp { line.ino = 0 }
        size = fuse_add_direntry_plus(nil, target, rest.count, text, &line, offset)
      } else {
        var status = owner.status(entry.attributes)
        size = fuse_add_direntry(nil, target, rest.count, text, &status, offset)
      }
      return size <= rest.count ? size : nil
    }
  }

  /// Answers `getxattr` and `listxattr`: a count of 0 asks for the size.
  private func value(_ value: [UInt8], count: Int, _ reply: inout Reply?) {
    if count == 0 {
      reply.take()?.attributeSize(value.count)
    } else if value.count > count {
      reply.take()?.error(ERANGE)
    } else {
      value.withUnsafeBytes { bytes in reply.take()?.bytes(bytes) }
    }
  }
}
