import Glibc
import Logging
package import Remote
import SampleOrder
import ShardCache
import Synchronization
import TarIndex

/// A sample that counts as consumed since now, for the ledger.
package struct ServedSample: Sendable {
  /// The split's number.
  package let split: Int
  package let rank: Int
  package let epoch: Int
  package let position: Int
  package let shard: ObjectKey

  /// The sample's place in its shard.
  package let number: Int
  package let key: [UInt8]

  /// Whether what its reader got was an error.
  package let isError: Bool

  /// Whether it only fills its rank up to the others' length, and stands elsewhere in the epoch too.
  package let isFilledUp: Bool
}

/// Who is told to let go of names, without keeping it alive.
struct KernelReference {
  weak var kernel: (any KernelCache)?
}

/// Turns and moves are made one at a time, on a thread that answers no request.
///
/// Telling the kernel to forget a name waits for whoever is at work in the folder above it, and
/// they may wait for an answer.
final class TurnQueue: Sendable {
  private struct Jobs {
    var waiting: [@Sendable () -> Void] = []
    var isRunning = false
  }

  private let jobs = Mutex(Jobs())

  func run(_ job: @escaping @Sendable () -> Void) {
    let isFirst = jobs.withLock { jobs in
      jobs.waiting.append(job)
      defer { jobs.isRunning = true }
      return !jobs.isRunning
    }
    guard isFirst else { return }
    WorkerThread.start(name: "turns") { [self] in
      while let job = next() { job() }
    }
  }

  private func next() -> (@Sendable () -> Void)? {
    jobs.withLock { jobs in
      guard !jobs.waiting.isEmpty else {
        jobs.isRunning = false
        return nil
      }
      return jobs.waiting.removeFirst()
    }
  }
}

/// What reading means for the run: samples consumed, epochs turned.
extension MountTree {
  /// The pass that a pass's directory lists: of a rank its present one, else itself.
  func presentPass(_ pass: Pass) throws(Obstacle) -> Pass {
    guard let name = pass.rankName else { return pass }
    return try rankPass(split: name.split, rank: name.rank)
  }

  // MARK: Consumption

  /// Counts a sample whose bytes are answered, or cannot be for good.
  func serve(_ position: Int, of pass: Pass, _ sample: Sample, isError: Bool) {
    guard let name = pass.rankName else { return }
    let served = note(position, of: pass, name, sample, isError: isError)
    switch served {
    case .nothing: return
    case .counted: serveEmpty(before: position, of: pass, name)
    case .countedUpTo, .end: serveEmptyRest(of: pass)
    }
  }

  private func note(
    _ position: Int,
    of pass: Pass,
    _ name: TrainingRun.RankName,
    _ sample: Sample,
    isError: Bool = false
  ) -> Pass.Served {
    let served = pass.serve(position)
    if case .nothing = served { return .nothing }
    run.noteChange()
    pass.meter?.consumed()
    if let record, let epoch = pass.epoch {
      record(
        ServedSample(
          split: name.split,
          rank: name.rank,
          epoch: epoch,
          position: position,
          shard: cache.shards[sample.shard].key,
          number: sample.number,
          key: sample.index.withKey(ofSample: sample.number) { Array($0) },
          isError: isError,
          isFilledUp: pass.isFilledUp(position)
        )
      )
    }
    if case .end = served { tellEnd(of: pass) }
    return served
  }

  /// Counts samples whose fields are all empty: the kernel reads nothing of them, so they count with
  /// the one after them.
  private func serveEmpty(before position: Int, of pass: Pass, _ name: TrainingRun.RankName) {
    var position = position
    while let left = pass.leftBefore(position) {
      guard let sample = try? locate(left, in: pass), isEmpty(sample) else { return }
      switch note(left, of: pass, name, sample) {
      case .nothing: return
      case .counted: position = left
      case .countedUpTo, .end: return serveEmptyRest(of: pass)
      }
    }
  }

  /// Counts what is left of an epoch, if all of it is empty: no later sample will be read.
  ///
  /// An epoch of which nothing was read, and which nobody has listed to its end, stays as it is.
  func serveEmptyRest(of pass: Pass) {
    guard let name = pass.rankName, let first = pass.firstToRead(from: 0) else { return }
    var rest: [(position: Int, sample: Sample)] = []
    var next = first
    while next < Node.maxPositions {
      do throws(Obstacle) {
        let sample = try locate(next, in: pass)
        guard isEmpty(sample) else { return }
        rest.append((next, sample))
      } catch {
        guard case .failure(.noSuchEntry) = error else { return }
        break
      }
      guard let left = pass.firstToRead(from: next + 1) else { return }
      next = left
    }
    for (position, sample) in rest { _ = note(position, of: pass, name, sample) }
  }

  private func isEmpty(_ sample: Sample) -> Bool {
    // Reading counts in the passes of ranks alone, where fields are decoded.
    if let decoding { return isEmpty(sample, decoding) }
    return sample.index.fieldOrdinals(ofSample: sample.number).allSatisfy {
      sample.index.member($0).sizeBytes == 0
    }
  }

  /// A read of a field failed for good.
  package func noteFailure(of inode: UInt64) {
    guard case .field(let number, let position, _) = Node(inode: inode), let pass = passes[number],
      let sample = try? locate(position, in: pass)
    else { return }
    serve(position, of: pass, sample, isError: true)
  }

  /// Has the kernel look at a rank's directory again: its epoch is over.
  func tellEnd(of pass: Pass) {
    guard let name = pass.rankName else { return }
    withKernel { kernel in
      for folder in run.folders(split: name.split, rank: name.rank) {
        kernel.forgetAttributes(of: Node.pass(folder).inode)
      }
    }
  }

  // MARK: Turns

  /// Lets a listing from the start wait for the turn, where the epoch is consumed.
  func turnIfConsumed(_ pass: Pass) throws(Obstacle) {
    guard let name = pass.rankName else { return }
    let present = try rankPass(split: name.split, rank: name.rank)
    serveEmptyRest(of: present)
    if present.isConsumed {
      guard !passes.isFull else {
        throw .failure(.tooManyPasses(path: path(of: present.directory)))
      }
      // An epoch without samples turns into another one: there is nothing to go on to.
      if present.length == 0 { return }
      _ = try ordered(name.split) { () throws(OrderError) in
        try run.order(split: name.split, epoch: (present.epoch ?? 0) + 1)
      }
      throw .pending(.turn(name))
    }
  }

  /// Puts a rank on its next epoch and has the kernel forget the old directory.
  func turn(_ name: TrainingRun.RankName) {
    guard (try? run.turn(split: name.split, rank: name.rank)) == true else { return }
    logger.info(
      "the rank's epoch is consumed; the next one is listed",
      metadata: ["event": "run.turned", "path": "\(path(of: .split(name.split)))/\(name.rank)"]
    )
    forgetFolder(of: name)
  }

  /// Has the kernel look up a rank's directory anew.
  func forgetFolder(of name: TrainingRun.RankName) {
    tellFolders(of: name)
    withKernel { kernel in
      kernel.forgetEntry(
        named: Array(String(name.rank).utf8),
        in: Node.split(name.split).inode
      )
    }
  }

  private func tellFolders(of name: TrainingRun.RankName) {
    withKernel { kernel in
      for folder in run.folders(split: name.split, rank: name.rank) {
        kernel.forgetAttributes(of: Node.pass(folder).inode)
      }
    }
  }

  // MARK: Directories of passes

  /// What `stat` tells of a pass's directory.
  ///
  /// A rank's changes its time whenever its listing does, by which the kernel knows that what it has
  /// kept of the listing is of no use.
  func directory(of pass: Pass, as node: Node? = nil) throws(Obstacle) -> Attributes {
    switch pass.kind {
    case .shard(_, _, let shard):
      return directory(pass.directory, modifiedSeconds: modifiedSeconds(ofShard: shard))
    case .epoch, .epochSplit, .epochRank: return directory(pass.directory)
    case .classes(let split): return directory(.classSplit(split))
    case .rank:
      let present = try presentPass(pass)
      var attributes = directory(node ?? pass.directory)
      attributes.modifiedNanoseconds = Int64(present.number) * 2 + (present.isConsumed ? 1 : 0)
      return attributes
    }
  }

  func lookUp(_ name: UnsafeRawBufferPointer, inPass pass: Pass) throws(Obstacle) -> Attributes {
    switch pass.kind {
    case .rank(let split, let rank, _, _):
      if name.elementsEqual(".cursor".utf8) { return try lookUpCursor(split: split, rank: rank) }
      return try lookUpSample(name, in: presentPass(pass))
    case .shard, .epochRank: return try lookUpSample(name, in: pass)
    case .classes(let split): return try lookUpClass(name, in: split)
    case .epoch(let epoch):
      guard let split = splitNumber(name) else { throw .failure(.noSuchEntry) }
      return try folder(.epochSplit(epoch: epoch, split: split))
    case .epochSplit(let epoch, let split):
      guard let rank = Self.number(name), dataset.shows(rank: rank) else {
        throw .failure(.noSuchEntry)
      }
      let kind = Pass.Kind.epochRank(epoch: epoch, split: split, rank: rank)
      if let known = passes.known(kind) { return directory(known.directory) }
      let order = try ordered(split) { () throws(OrderError) in
        try run.order(split: split, epoch: epoch, isFresh: true)
      }
      return try folder(kind, order.rank(rank))
    }
  }

  func epochFolder(_ epoch: Int) throws(Obstacle) -> Attributes {
    guard EpochOrder.allowedEpochs.contains(epoch) else { throw .failure(.noSuchEntry) }
    return try folder(.epoch(epoch))
  }

  private func folder(_ kind: Pass.Kind, _ order: RankOrder? = nil) throws(Obstacle) -> Attributes {
    guard let pass = passes.pass(kind, make: { order }) else {
      throw .failure(.tooManyPasses(path: ".epochs"))
    }
    return directory(pass.directory)
  }

  func listPass(
    _ pass: Pass,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    switch pass.kind {
    case .rank, .shard, .epochRank: try listSamples(of: presentPass(pass), &cursor, emit)
    case .classes(let split): try listClasses(of: split, &cursor, emit)
    case .epoch:
      for split in dataset.splits.dropFirst(cursor.position) {
        let name = String(decoding: split.name, as: UTF8.self)
        guard addUnseen(name, isDirectory: true, &cursor, emit) else { return }
      }
    case .epochSplit:
      let ranks = dataset.onlyRank.map { $0..<$0 + 1 } ?? 0..<dataset.worldSize
      for rank in ranks.dropFirst(cursor.position) {
        guard addUnseen(String(rank), isDirectory: true, &cursor, emit) else { return }
      }
    }
  }

  // MARK: Streams

  func lookUpStream(
    _ name: UnsafeRawBufferPointer,
    in split: Int
  ) throws(Obstacle) -> Attributes {
    guard dataset.splits.indices.contains(split), name.count > 4,
      name.suffix(4).elementsEqual(".tar".utf8),
      let rank = Self.number(UnsafeRawBufferPointer(rebasing: name.dropLast(4))),
      dataset.shows(rank: rank)
    else { throw .failure(.noSuchEntry) }
    let pass = try rankPass(split: split, rank: rank)
    // Who reads streams lists no directory, so that the next epoch begins with the next look-up. That
    // nothing is left may only turn out by looking for it.
    do throws(Obstacle) {
      _ = try locate(pass.firstListed(from: 0), in: pass)
    } catch {
      if case .pending = error { throw error }
    }
    try turnIfConsumed(pass)
    return streamFile(pass)
  }

  func streamFile(_ pass: Pass) -> Attributes {
    Attributes(
      inode: Node.stream(pass: pass.number).inode,
      isDirectory: false,
      sizeBytes: stream(of: pass).maxBytes(in: self),
      modifiedSeconds: mountedSeconds
    )
  }

  func readStream<Value>(
    _ pass: Pass,
    at offset: Int64,
    count: Int,
    _ body: (UnsafeRawBufferPointer) -> Value
  ) throws(Obstacle) -> Value {
    let count = max(0, min(count, ShardReader.maxReadBytes))
    return try streamBuffers.withRoom(count) { (room) throws(Obstacle) in
      var part = StreamPart(room, at: min(max(0, offset), 1 << 62))
      try stream(of: pass).read(&part, in: self) { position in
        guard let sample = try? locate(position, in: pass) else { return }
        serve(position, of: pass, sample, isError: false)
      }
      return body(part.filled)
    }
  }

  private func stream(of pass: Pass) -> SampleStream {
    streams.withLock { streams in
      if let stream = streams[pass.number] { return stream }
      streams = streams.filter { !$0.value.pass.isRetired }
      let stream = SampleStream(pass)
      streams[pass.number] = stream
      return stream
    }
  }
}
