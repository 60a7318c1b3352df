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
    // Also tells what is a directory before anything is listed.
    let own = try attributes(of: inode)
    guard own.isDirectory else { throw .failure(.notADirectory) }
    var cursor = ListingCursor(offset: offset)
    for name in [".", ".."] {
      guard cursor.add(Array(name.utf8), own, isLookedUp: false, emit) else { return }
    }
    switch node {
    case .root:
      for split in dataset.splits.indices {
        let name = dataset.splits[split].name
        guard cursor.add(name, directory(.split(split)), emit) else { return }
      }
    case .split(let split):
      let ranks = dataset.onlyRank.map { $0..<$0 + 1 } ?? 0..<dataset.worldSize
      for rank in ranks {
        let rankNode = Node.rank(split: split, rank: rank)
        guard cursor.add(Array(String(rank).utf8), directory(rankNode), emit) else { return }
      }
    case .rank(let split, let rank):
      try listSamples(of: try rankPass(split: split, rank: rank), &cursor, emit)
    case .pass(let number):
      try listSamples(of: try pass(number), &cursor, emit)
    case .sample(let number, let position):
      try listFields(of: try pass(number), at: position, &cursor, emit)
    case .controls:
      for file in controls.files {
        let attributes = Attributes(
          inode: Node.controls.inode,
          isDirectory: false,
          sizeBytes: 0,
          modifiedSeconds: mountedSeconds
        )
        let name = Array(file.name.utf8)
        guard cursor.add(name, attributes, isLookedUp: false, emit) else { return }
      }
    case .shards:
      for split in dataset.splits.indices {
        let name = dataset.splits[split].name
        guard cursor.add(name, directory(.shardSplit(split)), emit) else { return }
      }
    case .shardSplit(let split):
      cursor.skipToOffset()
      listShards(of: split, from: cursor.position) { cursor.add($0, $1, emit) }
    case .field, .snapshot, .shardFile: throw .failure(.notADirectory)
    }
  }

  private func listSamples(
    of pass: Pass,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    cursor.skipToOffset()
    var position = cursor.position
    let first = position
    while position < Node.maxPositions {
      let sample: Sample
      do throws(Obstacle) {
        sample = try locate(position, in: pass)
      } catch {
        if case .failure(.noSuchEntry) = error { return }
        if case .pending = error { advanceListing(pass, to: position) }
        if position > first, case .pending = error { return }
        throw error
      }
      let seconds = modifiedSeconds(ofShard: sample.shard)
      let node = Node.sample(pass: pass.number, position: position)
      let isTaken = withUnsafeTemporaryAllocation(byteCount: 24, alignment: 1) { buffer in
        let count = Self.writePosition(position, into: buffer)
        let name = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        return cursor.add(name, directory(node, modifiedSeconds: seconds), emit)
      }
      guard isTaken else { return }
      position += 1
    }
  }

  private func listFields(
    of pass: Pass,
    at position: Int,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    let sample = try locate(position, in: pass)
    let ordinals = sample.index.fieldOrdinals(ofSample: sample.number)
    guard ordinals.count <= Node.maxFields else { throw tooManyFields(sample, pass, position) }
    advance(pass, to: position)
    cursor.skipToOffset()
    for ordinal in ordinals.dropFirst(cursor.position) {
      let node = Node.field(
        pass: pass.number,
        position: position,
        field: ordinal - ordinals.lowerBound
      )
      let attributes = attributes(ofField: ordinal, inode: node.inode, sample)
      let isTaken = withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
        let count =
          settings.listsBareNames
          ? sample.index.writeBareName(ofField: ordinal, inSample: sample.number, into: buffer)
          : sample.index.writeListedName(ofField: ordinal, inSample: sample.number, into: buffer)
        let name = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        return cursor.add(name, attributes, emit)
      }
      guard isTaken else { return }
    }
  }
}

/// Counts the lines of a listing, and hands out those from its offset on.
private struct ListingCursor {
  private let offset: UInt64
  private var next: UInt64 = 0

  init(offset: UInt64) {
    self.offset = offset
  }

  /// Where the next line stands among the entries that are not `.` or `..`.
  var position: Int { Int(clamping: next) - 2 }

  /// Passes over what an earlier part of the listing has shown.
  mutating func skipToOffset() {
    next = max(next, offset)
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
