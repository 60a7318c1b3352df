import SampleOrder
import ShardCache
import TarIndex

/// One line of a listing.
package struct ListingEntry {
  package let name: UnsafeRawBufferPointer
  package let attributes: Attributes

  /// Whether the kernel may keep the entry as if it had looked it up.
  package let isLookedUp: Bool

  /// Where a listing that ends here goes on.
  package let nextOffset: UInt64
}

extension MountTree {
  /// Lists a directory from an offset, until `emit` has no room or the end is reached.
  ///
  /// Offsets are positions: 0 is `.`, 1 is `..`, and what follows counts on from 2. A listing
  /// streams: what is known is handed out, and only a listing that has nothing to show yet waits.
  ///
  /// - Parameters:
  ///   - inode: Of a directory.
  ///   - offset: 0, or the `nextOffset` of the last entry taken.
  ///   - emit: Returns whether the entry was taken; its name is valid during the call only.
  /// - Throws: `Obstacle`.
  package func list(
    _ inode: UInt64,
    from offset: UInt64,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    let node = try node(inode)
    // A rank's directory lists the next epoch from the first look at it after the present one.
    if offset == 0, case .pass(let number) = node { try turnIfConsumed(try pass(number)) }
    var cursor = ListingCursor(offset: offset)
    if offset < ListingCursor.firstPosition {
      // Also tells what is not there and what is no directory.
      let own = try attributes(of: inode)
      guard own.isDirectory else { throw .failure(.notADirectory) }
      var above = own
      above.inode = parent(of: node).inode
      guard cursor.add([UInt8(ascii: ".")], own, isLookedUp: false, emit),
        cursor.add(Array("..".utf8), above, isLookedUp: false, emit)
      else { return }
    }
    switch node {
    case .root:
      for split in dataset.splits.indices.dropFirst(cursor.position) {
        let name = dataset.splits[split].name
        guard cursor.add(name, directory(.split(split)), emit) else { return }
      }
    case .split:
      let ranks = dataset.onlyRank.map { $0..<$0 + 1 } ?? 0..<dataset.worldSize
      for rank in ranks.dropFirst(cursor.position) {
        guard addUnseen(String(rank), isDirectory: true, &cursor, emit) else { return }
      }
    case .pass(let number):
      try listPass(try pass(number), &cursor, emit)
    case .epochs: break
    case .streams:
      for split in dataset.splits.indices.dropFirst(cursor.position) {
        let name = dataset.splits[split].name
        guard cursor.add(name, directory(.streamSplit(split)), emit) else { return }
      }
    case .streamSplit:
      let ranks = dataset.onlyRank.map { $0..<$0 + 1 } ?? 0..<dataset.worldSize
      for rank in ranks.dropFirst(cursor.position) {
        guard addUnseen("\(rank).tar", isDirectory: false, &cursor, emit) else { return }
      }
    case .sample(let number, let position):
      try listFields(of: try pass(number), at: position, &cursor, emit)
    case .controls:
      for file in controls.files.dropFirst(cursor.position) {
        guard addUnseen(file.name, isDirectory: false, &cursor, emit) else { return }
      }
    case .shards:
      for split in dataset.splits.indices.dropFirst(cursor.position) {
        let name = dataset.splits[split].name
        guard cursor.add(name, directory(.shardSplit(split)), emit) else { return }
      }
    case .shardSplit(let split):
      guard dataset.splits.indices.contains(split) else { throw .failure(.noSuchEntry) }
      listShards(of: split, &cursor, emit)
    case .classes:
      for split in dataset.splits.indices.dropFirst(cursor.position) {
        let name = dataset.splits[split].name
        guard cursor.add(name, directory(.classSplit(split)), emit) else { return }
      }
    case .classSplit(let split): try listClasses(of: split, &cursor, emit)
    case .classFolder(let split, let number):
      try listFiles(ofClass: number, in: split, &cursor, emit)
    case .field, .snapshot, .shardFile, .stream: throw .failure(.notADirectory)
    }
  }

  /// Lists a name whose node only a lookup makes.
  func addUnseen(
    _ name: String,
    isDirectory: Bool,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) -> Bool {
    let attributes = Attributes(
      inode: Node.unseenInode,
      isDirectory: isDirectory,
      sizeBytes: 0,
      modifiedSeconds: mountedSeconds
    )
    return cursor.add(Array(name.utf8), attributes, isLookedUp: false, emit)
  }

  /// What `..` means; the root's own is the kernel's affair.
  private func parent(of node: Node) -> Node {
    switch node {
    case .root, .split, .controls, .shards, .epochs, .streams, .classes: return .root
    case .classSplit: return .classes
    case .classFolder(let split, _): return .classSplit(split)
    case .streamSplit: return .streams
    case .stream(let number): return passes[number].map { .streamSplit($0.split) } ?? .streams
    case .pass(let number):
      switch passes[number]?.kind {
      case nil: return .root
      case .rank(let split, _, _, _): return .split(split)
      case .epoch, .epochSplit, .epochRank: return .epochs
      case .shard(let split, _, _): return .shardSplit(split)
      case .classes(let split): return .classSplit(split)
      }
    case .sample(let pass, _), .field(let pass, _, _):
      return passes[pass]?.directory ?? .root
    case .snapshot: return .controls
    case .shardSplit: return .shards
    case .shardFile(let split, _): return .shardSplit(split)
    }
  }

  func listSamples(
    of pass: Pass,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    let isFromStart = cursor.position == 0
    var next = pass.firstListed(from: cursor.position)
    var hasShown = false
    while next < Node.maxPositions {
      let position = next
      cursor.skip(to: position)
      let sample: Sample
      do throws(Obstacle) {
        sample = try locate(position, in: pass)
      } catch {
        if case .failure(.noSuchEntry) = error {
          // All is indexed now, which it need not have been when the last sample was read; and that
          // nothing is left may have turned out only now. Where all that is left is empty, there is
          // nothing to read: having seen the names is all that a reader can do.
          pass.noteListed()
          serveEmptyRest(of: pass)
          if isFromStart && !hasShown { try turnIfConsumed(pass) }
          return
        }
        if case .pending = error { countAll(after: position, of: pass) }
        // What was found is shown; who asks for what follows gets the rest, or the error.
        if hasShown { return }
        throw error
      }
      // Finding it may have counted shards, and that may show that it was consumed before a resume.
      next = pass.firstListed(from: position)
      guard next == position else { continue }
      next = pass.firstListed(from: position + 1)
      let seconds = modifiedSeconds(ofShard: sample.shard)
      let node = Node.sample(pass: pass.number, position: position)
      let isTaken = withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { buffer in
        let count = Self.writePosition(position, into: buffer)
        let name = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        return cursor.add(name, directory(node, modifiedSeconds: seconds), emit)
      }
      guard isTaken else { return }
      hasShown = true
    }
  }

  private func listFields(
    of pass: Pass,
    at position: Int,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    let sample = try locate(position, in: pass)
    let ordinals = try fieldOrdinals(of: sample, pass, position)
    if let decoding = decoding(in: pass) {
      return listFields(of: sample, in: pass, at: position, decoding, &cursor, emit)
    }
    for ordinal in ordinals.dropFirst(cursor.position) {
      let node = Node.field(
        pass: pass.number,
        position: position,
        field: ordinal - ordinals.lowerBound
      )
      let attributes = attributes(ofField: ordinal, inode: node.inode, sample)
      let scratchBytes = SampleName.maxFileNameBytes
      let isTaken = withUnsafeTemporaryAllocation(byteCount: scratchBytes, alignment: 1) { buffer in
        let count = writeFileName(of: ordinal, sample, into: buffer)
        let name = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        return cursor.add(name, attributes, emit)
      }
      guard isTaken else { return }
    }
  }
}

/// Counts the lines of a listing, and hands out those from its offset on.
struct ListingCursor {
  /// The offset of the first entry that is not `.` or `..`.
  static let firstPosition: UInt64 = 2

  private let offset: UInt64
  private var next: UInt64 = 0

  init(offset: UInt64) {
    self.offset = offset
    if offset >= Self.firstPosition { next = offset }
  }

  /// Where the next line stands among the entries that are not `.` or `..`.
  var position: Int { Int(clamping: next - min(next, Self.firstPosition)) }

  /// Passes over entries that are not listed.
  mutating func skip(to position: Int) {
    next = max(next, UInt64(position) + Self.firstPosition)
  }

  /// Hands out the next line, unless an earlier part has.
  ///
  /// - Returns: Whether there is room for more.
  mutating func add(
    _ name: UnsafeRawBufferPointer,
    _ attributes: Attributes,
    isLookedUp: Bool = true,
    _ emit: (ListingEntry) -> Bool
  ) -> Bool {
    if next >= offset {
      let entry = ListingEntry(
        name: name,
        attributes: attributes,
        isLookedUp: isLookedUp,
        nextOffset: next + 1
      )
      guard emit(entry) else { return false }
    }
    next += 1
    return true
  }

  mutating func add(
    _ name: [UInt8],
    _ attributes: Attributes,
    isLookedUp: Bool = true,
    _ emit: (ListingEntry) -> Bool
  ) -> Bool {
    name.withUnsafeBytes { add($0, attributes, isLookedUp: isLookedUp, emit) }
  }
}
