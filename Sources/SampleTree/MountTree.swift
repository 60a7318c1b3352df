package import Logging
import Remote
import SampleOrder
package import ShardCache
import Synchronization
import TarIndex

/// The mount's paths as nodes: lookups, attributes and reads.
///
/// Nothing here blocks or changes what it answers from: a question that must wait throws
/// `Obstacle.pending` and is asked again, whole, when the cache says so.
package final class MountTree: Sendable {
  package let dataset: MountedDataset
  package let settings: TreeSettings
  package let controls: ControlFiles
  let cache: ShardReader

  /// Nil without `--schema`.
  let decoding: FieldDecoding?
  let logger: Logger
  package let run: TrainingRun
  var passes: PassTable { run.passTable }
  let streams = Mutex<[Int: SampleStream]>([:])
  let streamBuffers = StreamBuffers()
  let classTables = ClassTables()
  let turns = TurnQueue()

  /// Told of each sample that counts as consumed.
  let record: (@Sendable (ServedSample) -> Void)?
  private let kernel = Mutex(KernelReference())
  let shardNames = Mutex<[Int: ShardNames]>([:])

  /// Shards that are left out because they cannot be read.
  let skippedShards = Mutex<Set<Int>>([])

  /// Shards whose indexes are made ahead of whoever will ask for them.
  let shardsBeingCounted = Mutex<Set<Int>>([])
  let rawReads = Mutex(RawReads())

  /// When the mount was made, for what has no time of its own; seconds since 1970.
  let mountedSeconds: Int64

  /// The shards' bytes together, for `df`.
  package let totalBytes: Int64

  package init(
    dataset: MountedDataset,
    cache: ShardReader,
    settings: TreeSettings,
    controls: ControlFiles,
    run: TrainingRun,
    decoding: FieldDecoding? = nil,
    record: (@Sendable (ServedSample) -> Void)? = nil,
    mountedSeconds: Int64,
    logger: Logger
  ) {
    self.run = run
    self.record = record
    self.dataset = dataset
    self.cache = cache
    self.decoding = decoding
    self.settings = settings
    self.controls = controls
    self.mountedSeconds = mountedSeconds
    self.logger = logger
    totalBytes = cache.shards.reduce(0) { sum, shard in
      let (bytes, isOver) = sum.addingReportingOverflow(shard.sizeBytes)
      return isOver ? Int64.max : bytes
    }
    // What an earlier mount left out stays out, or positions would come to mean other samples.
    for (number, split) in dataset.splits.enumerated() {
      for place in run.skippedShards(ofSplit: number) where split.shards.indices.contains(place) {
        _ = skippedShards.withLock { $0.insert(split.shards[place]) }
      }
    }
  }

  /// Tells the waiter when what it wants has come, or why it will not.
  package func wait(for want: Want, _ waiter: any CacheWaiter) {
    switch want {
    case .sample(let number, let shard):
      let waiter = settings.skipsUnreadable ? SkippingWaiter(self, shard, waiter) : waiter
      cache.wait(forSample: number, ofShard: shard, waiter)
    case .bytes(let range, let shard, let plane):
      cache.wait(forBytes: range, ofShard: shard, plane: plane, waiter)
    case .classes(let split): classTables.wait(forSplit: split, of: self, waiter)
    case .decoded(let field):
      guard let decoding else { return waiter.cacheAnswered(.closed) }
      decoding.wait(for: field, in: cache, waiter)
    case .turn(let name):
      turns.run { [self] in
        turn(name)
        waiter.cacheAnswered(nil)
      }
    }
  }

  /// Forgets someone who no longer waits; what was fetched for him alone is given up.
  package func leave(_ want: Want, _ waiter: any CacheWaiter) {
    switch want {
    case .sample(_, let shard): cache.leave(indexOfShard: shard, waiter)
    case .bytes(_, let shard, _): cache.leave(bytesOfShard: shard, waiter)
    case .decoded(let field): decoding?.leave(field, waiter)
    case .classes, .turn: break
    }
  }

  /// Names who keeps what the tree says, so that it can be told to let go.
  package func connect(to kernel: any KernelCache) {
    self.kernel.withLock { $0.kernel = kernel }
  }

  func withKernel(_ body: (any KernelCache) -> Void) {
    if let kernel = kernel.withLock({ $0.kernel }) { body(kernel) }
  }

  package func forget(_ inode: UInt64, lookupCount: UInt64) {
    guard case .snapshot(let number) = Node(inode: inode) else { return }
    controls.forget(number, lookupCount: lookupCount)
  }

  /// Whether the kernel may keep a name for its node; a control file is another at each lookup.
  package func keepsEntry(_ inode: UInt64) -> Bool {
    switch Node(inode: inode) {
    case .snapshot, .stream: return false
    default: return true
    }
  }

  /// Whether the kernel may keep names of a directory at all.
  ///
  /// Who holds a rank's directory open over a turn sees the next epoch in it, and the one after that:
  /// nobody can tell the kernel which names to let go of there.
  package func keepsEntries(of parent: UInt64) -> Bool {
    guard case .pass(let number) = Node(inode: parent), let pass = passes[number],
      let name = pass.rankName
    else { return true }
    return run.folders(split: name.split, rank: name.rank).last == number
  }

  /// Whether a name that is missing from a directory will be for ever.
  package func keepsMissing(in parent: UInt64) -> Bool {
    switch Node(inode: parent) {
    case .root, .split, .sample, .shards, .shardSplit, .classes, .classSplit, .classFolder: true
    default: false
    }
  }

  // MARK: Lookup

  /// The node of that name in a directory.
  package func lookUp(
    _ name: UnsafeRawBufferPointer,
    in parent: UInt64
  ) throws(Obstacle) -> Attributes {
    guard name.count <= 255 else { throw .failure(.nameTooLong) }
    switch try node(parent) {
    case .root: return try lookUpInRoot(name)
    case .split(let split):
      guard dataset.splits.indices.contains(split), let rank = Self.number(name),
        dataset.shows(rank: rank)
      else { break }
      return try directory(of: rankPass(split: split, rank: rank))
    case .pass(let number):
      return try lookUp(name, inPass: try pass(number))
    case .epochs:
      guard let epoch = Self.number(name) else { break }
      return try epochFolder(epoch)
    case .streams:
      guard let split = splitNumber(name) else { break }
      return directory(.streamSplit(split))
    case .streamSplit(let split): return try lookUpStream(name, in: split)
    case .sample(let pass, let position):
      return try lookUpField(name, in: try self.pass(pass), at: position)
    case .controls:
      if let file = controls.lookUp(name, seconds: Self.now()) { return file }
    case .shards:
      guard let split = splitNumber(name) else { break }
      return directory(.shardSplit(split))
    case .shardSplit(let split):
      guard dataset.splits.indices.contains(split) else { break }
      return try lookUpShard(name, in: split)
    case .classes:
      guard let split = splitNumber(name) else { break }
      return directory(.classSplit(split))
    case .classSplit(let split): return try lookUpClass(name, in: split)
    case .classFolder(let split, let number):
      return try lookUpFile(name, ofClass: number, in: split)
    case .field, .snapshot, .shardFile, .stream: throw .failure(.notADirectory)
    }
    throw .failure(.noSuchEntry)
  }

  private func lookUpInRoot(_ name: UnsafeRawBufferPointer) throws(Obstacle) -> Attributes {
    if let split = splitNumber(name) { return directory(.split(split)) }
    if name.elementsEqual(".wdsfs".utf8) { return directory(.controls) }
    if name.elementsEqual(".shards".utf8) { return directory(.shards) }
    if name.elementsEqual(".epochs".utf8) { return directory(.epochs) }
    if name.elementsEqual(".streams".utf8) { return directory(.streams) }
    if name.elementsEqual(".classes".utf8) { return directory(.classes) }
    throw .failure(.noSuchEntry)
  }

  func lookUpSample(
    _ name: UnsafeRawBufferPointer,
    in pass: Pass
  ) throws(Obstacle) -> Attributes {
    guard let position = Self.position(name), position < Node.maxPositions else {
      throw .failure(.noSuchEntry)
    }
    let sample = try locate(position, in: pass)
    return directory(
      .sample(pass: pass.number, position: position),
      modifiedSeconds: modifiedSeconds(ofShard: sample.shard)
    )
  }

  private func lookUpField(
    _ name: UnsafeRawBufferPointer,
    in pass: Pass,
    at position: Int
  ) throws(Obstacle) -> Attributes {
    let sample = try locate(position, in: pass)
    if let decoding = decoding(in: pass) {
      return try lookUpField(name, of: sample, in: pass, at: position, decoding)
    }
    guard let ordinal = sample.index.ordinal(named: name, inSample: sample.number) else {
      throw .failure(.noSuchEntry)
    }
    let first = try fieldOrdinals(of: sample, pass, position).lowerBound
    return attributes(
      ofField: ordinal,
      inode: Node.field(pass: pass.number, position: position, field: ordinal - first).inode,
      sample
    )
  }

  // MARK: Attributes

  package func attributes(of inode: UInt64) throws(Obstacle) -> Attributes {
    let node = try node(inode)
    switch node {
    case .root, .controls, .shards, .epochs, .streams, .classes: return directory(node)
    case .split(let split), .shardSplit(let split), .streamSplit(let split),
      .classSplit(let split):
      guard dataset.splits.indices.contains(split) else { break }
      return directory(node)
    case .pass(let number): return try directory(of: try pass(number), as: node)
    case .stream(let number): return streamFile(try pass(number))
    case .sample(let number, let position):
      let sample = try locate(position, in: try pass(number))
      return directory(node, modifiedSeconds: modifiedSeconds(ofShard: sample.shard))
    case .field(let number, let position, let field):
      let pass = try pass(number)
      let (sample, ordinal) = try self.field(field, at: position, in: pass)
      if let decoding = decoding(in: pass), let rule = decoding.rule(ofField: field) {
        return try attributes(of: rule, ofField: ordinal, inode: inode, sample, decoding)
      }
      return attributes(ofField: ordinal, inode: inode, sample)
    case .snapshot(let number):
      guard let file = controls.attributes(of: number) else { break }
      return file
    case .shardFile(let split, let place):
      guard holds(split: split, place: place) else { break }
      return shardFile(split: split, place: place)
    case .classFolder(let split, let number):
      guard try classTable(split).classCount > number else { break }
      return directory(node)
    }
    throw .failure(.noSuchEntry)
  }

  func holds(split: Int, place: Int) -> Bool {
    dataset.splits.indices.contains(split)
      && dataset.splits[split].shards.indices.contains(place)
  }

  func directory(_ node: Node, modifiedSeconds: Int64? = nil) -> Attributes {
    Attributes(
      inode: node.inode,
      isDirectory: true,
      sizeBytes: 0,
      modifiedSeconds: modifiedSeconds ?? mountedSeconds
    )
  }

  func attributes(ofField ordinal: Int, inode: UInt64, _ sample: Sample) -> Attributes {
    let member = sample.index.member(ordinal)
    return Attributes(
      inode: inode,
      isDirectory: false,
      sizeBytes: member.sizeBytes,
      modifiedSeconds: member.modifiedSeconds
    )
  }

  func shardFile(split: Int, place: Int) -> Attributes {
    let shard = dataset.splits[split].shards[place]
    return Attributes(
      inode: Node.shardFile(split: split, place: place).inode,
      isDirectory: false,
      sizeBytes: cache.shards[shard].sizeBytes,
      modifiedSeconds: modifiedSeconds(ofShard: shard)
    )
  }

  func modifiedSeconds(ofShard shard: Int) -> Int64 { cache.shards[shard].modifiedSeconds }

  // MARK: Nodes

  func node(_ inode: UInt64) throws(Obstacle) -> Node {
    guard let node = Node(inode: inode) else { throw .failure(.noSuchEntry) }
    return node
  }

  func pass(_ number: Int) throws(Obstacle) -> Pass {
    guard let pass = passes[number] else { throw .failure(.noSuchEntry) }
    return pass
  }

  func splitNumber(_ name: UnsafeRawBufferPointer) -> Int? {
    dataset.splits.firstIndex { $0.name.elementsEqual(name) }
  }

  func field(
    _ field: Int,
    at position: Int,
    in pass: Pass
  ) throws(Obstacle) -> (sample: Sample, ordinal: Int) {
    let sample = try locate(position, in: pass)
    let ordinals = try fieldOrdinals(of: sample, pass, position)
    if let decoding = decoding(in: pass), let rule = decoding.rule(ofField: field) {
      guard let ordinal = decoding.ordinal(of: rule, sample) else { throw .failure(.noSuchEntry) }
      return (sample, ordinal)
    }
    guard field < ordinals.count else { throw .failure(.noSuchEntry) }
    return (sample, ordinals.lowerBound + field)
  }

  /// A sample's fields, all of which have numbers: one that would lack some is not shown at all.
  func fieldOrdinals(
    of sample: Sample,
    _ pass: Pass,
    _ position: Int
  ) throws(Obstacle) -> Range<Int> {
    let ordinals = sample.index.fieldOrdinals(ofSample: sample.number)
    guard ordinals.count <= Node.maxFields - (decoding?.rules.count ?? 0) else {
      let path = path(of: .sample(pass: pass.number, position: position))
      let shard = cache.shards[sample.shard].key
      throw .failure(.tooManyFields(path: path, shard: shard, count: ordinals.count))
    }
    return ordinals
  }
}
