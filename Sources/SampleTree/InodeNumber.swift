/// What an inode number names, and the number of what is named.
///
/// Numbers are computed, so that nothing grows with what was ever looked up and `forget` has nothing
/// to forget. From the highest bit: 20 bits of pass, 32 of position, 12 of field. Pass 0 has what
/// belongs to no pass: 4 bits of kind, 12 of split, 28 of rank, shard or class.
package enum Node: Hashable, Sendable {
  case root

  /// The directory of a split.
  case split(Int)

  /// The directory of a pass.
  ///
  /// A rank's has another number after each turn and move, so that no name that the kernel keeps
  /// below the old one can answer for the new.
  case pass(Int)

  /// A sample's directory.
  case sample(pass: Int, position: Int)

  /// A field's file; `field` counts within the sample.
  case field(pass: Int, position: Int, field: Int)

  /// `/.wdsfs`.
  case controls

  /// One state of a control file, as it was when it was looked up.
  case snapshot(Int)

  /// `/.epochs`.
  case epochs

  /// `/.streams` and `/.streams/<split>`.
  case streams
  case streamSplit(Int)

  /// `/.streams/<split>/<rank>.tar`: what a pass has left.
  case stream(pass: Int)

  /// `/.classes`, `/.classes/<split>` and `/.classes/<split>/<class>`.
  case classes
  case classSplit(Int)
  case classFolder(split: Int, number: Int)

  /// `/.shards`.
  case shards

  /// `/.shards/<split>`.
  case shardSplit(Int)

  /// `/.shards/<split>/<shard>`; `place` counts within the split.
  case shardFile(split: Int, place: Int)

  // MARK: Limits

  package static let maxPasses = 1 << 20
  package static let maxPositions = 1 << 32

  /// A sample with more fields is not shown.
  package static let maxFields = (1 << 12) - 1
  package static let maxSplits = 1 << 12
  package static let maxShards = 1 << 28
  package static let maxClasses = 1 << 28

  // MARK: Numbers

  private enum Kind: UInt64 {
    case top = 0
    case split = 1
    case pass = 3
    case snapshot = 4
    case shardSplit = 5
    case shardFile = 6
    case streamSplit = 7
    case stream = 8
    case classSplit = 9
    case classFolder = 10
  }

  /// Numbers of kind `top`: the kernel's for the root, and the next ones.
  private enum Top {
    static let root: UInt64 = 1
    static let controls: UInt64 = 2
    static let shards: UInt64 = 3
    static let epochs: UInt64 = 4
    static let streams: UInt64 = 5
    static let classes: UInt64 = 6
  }

  package var inode: UInt64 {
    switch self {
    case .root: Top.root
    case .controls: Top.controls
    case .shards: Top.shards
    case .split(let split): Self.fixed(.split, split, 0)
    case .epochs: Top.epochs
    case .streams: Top.streams
    case .classes: Top.classes
    case .classSplit(let split): Self.fixed(.classSplit, split, 0)
    case .classFolder(let split, let number): Self.fixed(.classFolder, split, number)
    case .streamSplit(let split): Self.fixed(.streamSplit, split, 0)
    case .stream(let pass): Self.fixed(.stream, 0, pass)
    case .pass(let pass): Self.fixed(.pass, 0, pass)
    case .snapshot(let number): Self.fixed(.snapshot, 0, number)
    case .shardSplit(let split): Self.fixed(.shardSplit, split, 0)
    case .shardFile(let split, let place): Self.fixed(.shardFile, split, place)
    case .sample(let pass, let position): UInt64(pass) << 44 | UInt64(position) << 12
    case .field(let pass, let position, let field):
      UInt64(pass) << 44 | UInt64(position) << 12 | UInt64(field + 1)
    }
  }

  private static func fixed(_ kind: Kind, _ split: Int, _ number: Int) -> UInt64 {
    // A snapshot counts beyond 28 bits; its split is always 0.
    kind.rawValue << 40 | UInt64(split) << 28 | UInt64(number)
  }

  /// Reads a number that `inode` made; nil for any other.
  package init?(inode: UInt64) {
    let pass = Int(inode >> 44)
    if pass != 0 {
      let position = Int(inode >> 12 & 0xFFFF_FFFF)
      let field = Int(inode & 0xFFF)
      self =
        field == 0
        ? .sample(pass: pass, position: position)
        : .field(pass: pass, position: position, field: field - 1)
      return
    }
    let split = Int(inode >> 28 & 0xFFF)
    let number = Int(inode & 0xFFF_FFFF)
    switch Kind(rawValue: inode >> 40) {
    case .top:
      switch inode {
      case Top.root: self = .root
      case Top.controls: self = .controls
      case Top.shards: self = .shards
      case Top.epochs: self = .epochs
      case Top.streams: self = .streams
      case Top.classes: self = .classes
      default: return nil
      }
    case .split where number == 0: self = .split(split)
    case .streamSplit where number == 0: self = .streamSplit(split)
    case .stream where split == 0: self = .stream(pass: number)
    case .pass where split == 0: self = .pass(number)
    case .snapshot: self = .snapshot(Int(inode & 0xFF_FFFF_FFFF))
    case .shardSplit where number == 0: self = .shardSplit(split)
    case .shardFile: self = .shardFile(split: split, place: number)
    case .classSplit where number == 0: self = .classSplit(split)
    case .classFolder: self = .classFolder(split: split, number: number)
    case .split, .pass, .shardSplit, .streamSplit, .stream, .classSplit, nil: return nil
    }
  }

  /// What `stat` shows for a control file, whichever of its states it is; no node's.
  static func shownInode(ofFile name: Int) -> UInt64 {
    UInt64(maxPasses - 1) << 44 | UInt64(truncatingIfNeeded: name) & (1 << 44 - 1)
  }

  /// What a listing shows for a file whose number only a lookup makes; no node's.
  static let unseenInode: UInt64 = 0xFFFF_FFFF
}

/// What `stat` tells of a node.
package struct Attributes: Hashable, Sendable {
  package var inode: UInt64
  package var isDirectory: Bool
  package var sizeBytes: Int64

  /// Seconds since 1970, and what tells apart two states of one second.
  package var modifiedSeconds: Int64
  package var modifiedNanoseconds: Int64 = 0

  /// The number that `stat` shows, where the kernel's own changes though the file is the same.
  package var shownInode: UInt64?

  /// Control files that hold a rank's progress are their owner's alone.
  package var isPrivate = false
}
