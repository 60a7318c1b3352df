import Logging
import Remote
import ShardCache

/// Reads the count files of other tools that lie in the bucket, no more of them than is of use.
struct CountFileReading {
  /// A few seconds' worth of small GETs: more than these would delay the mount longer than equal
  /// lengths are worth to somebody who did not ask for them.
  static let maxFilesUnasked = 4096

  private static let filesAtOnce = 32
  private static let maxLists = 16
  private static let listHeadBytes: Int64 = 4096

  /// What one shard's file is read of, at most.
  private static let maxFileBytes: Int64 = 32 << 20

  private let store: any ObjectStore
  private let dataset: Dataset
  private let finder: ShardFinder
  private let log: Logger

  init(_ dataset: Dataset, in store: any ObjectStore, _ log: Logger) {
    self.store = store
    self.dataset = dataset
    self.log = log
    finder = ShardFinder(dataset.shards)
  }

  /// The kinds of files that lie beside a shard and tell its count, in the order they are asked.
  private enum Kind: CaseIterable {
    case dali
    case img2dataset
    case webshart

    var ending: String {
      switch self {
      case .dali: ".idx"
      case .img2dataset: "_stats.json"
      case .webshart: ".json"
      }
    }

    /// What of the file tells the count; nil: all of it.
    var headBytes: Int64? { self == .dali ? 64 : nil }

    func count(_ bytes: [UInt8]) -> CountFile.Count? {
      switch self {
      case .dali: CountFile.dali(bytes)
      case .img2dataset: CountFile.img2dataset(bytes)
      case .webshart: CountFile.webshart(bytes)
      }
    }
  }

  /// Adds to the counts what the files state.
  ///
  /// - Parameters:
  ///   - notes: The listed objects that are no shards.
  ///   - maxFiles: Of the files that tell of one shard each: where more would have to be read, none is.
  ///   - counts: Gets what is stated; what it has already is not asked for.
  /// - Throws: Where the store does not answer.
  func read(
    _ notes: [ObjectInfo],
    maxFiles: Int,
    into counts: inout StatedCounts
  ) throws(StoreError) {
    try readLists(notes, into: &counts)
    var files: [Int: (kind: Kind, object: ObjectInfo)] = [:]
    for kind in Kind.allCases {
      for note in notes {
        guard let shard = finder.shard(beside: note.key.bytes, ending: kind.ending),
          files[shard] == nil, counts[shard] == nil
        else { continue }
        files[shard] = (kind, note)
      }
    }
    // A split of which one shard stays uncounted gains nothing by the others.
    var wanted: Set<Int> = []
    for split in dataset.splits
    where split.shards.allSatisfy({ counts[$0] != nil || files[$0] != nil }) {
      wanted.formUnion(split.shards.filter { counts[$0] == nil })
    }
    guard wanted.count <= maxFiles else {
      log.notice(
        "too many files with counts to read them unasked; --partition samples has them read",
        metadata: ["event": "index.too_many_files", "files": "\(wanted.count)"]
      )
      return
    }
    try readFiles(files.filter { wanted.contains($0.key) }, into: &counts)
  }

  // MARK: One file a shard

  private func readFiles(
    _ files: [Int: (kind: Kind, object: ObjectInfo)],
    into counts: inout StatedCounts
  ) throws(StoreError) {
    let ordered = files.sorted { $0.key < $1.key }
    for start in stride(from: 0, to: ordered.count, by: Self.filesAtOnce) {
      let some = ordered[start..<min(start + Self.filesAtOnce, ordered.count)]
      let fetches = some.map { _, file in
        let bytes = min(file.object.sizeBytes, file.kind.headBytes ?? Self.maxFileBytes)
        return SmallFetch.start(0..<max(0, bytes), of: file.object, in: store)
      }
      for ((shard, file), fetch) in zip(some, fetches) {
        guard let bytes = try received(fetch, file.object) else { continue }
        let source = "its \(file.kind.ending) file"
        state(file.kind.count(bytes), ofShard: shard, source: source, into: &counts)
      }
    }
  }

  // MARK: Lists

  private func readLists(
    _ notes: [ObjectInfo],
    into counts: inout StatedCounts
  ) throws(StoreError) {
    let lists = notes.filter { note in
      isList(note.key.bytes) && (1...CountFile.maxListBytes).contains(note.sizeBytes)
    }
    for list in lists.prefix(Self.maxLists) {
      guard let named = try entries(of: list) else { continue }
      for entry in named {
        guard let shard = finder.shard(called: entry.name, inList: list.key.bytes) else { continue }
        let source = PrintableName.text(list.key.bytes)
        state(entry.count, ofShard: shard, source: source, into: &counts)
      }
    }
  }

  /// Whether a file may list shards: `index.wds`, or a JSON file that belongs to no shard.
  private func isList(_ key: [UInt8]) -> Bool {
    if key.suffix(9).elementsEqual("index.wds".utf8) { return true }
    guard key.suffix(5).elementsEqual(".json".utf8) else { return false }
    return Kind.allCases.allSatisfy { finder.shard(beside: key, ending: $0.ending) == nil }
  }

  private func entries(of list: ObjectInfo) throws(StoreError) -> [CountFile.Named]? {
    let isPacked = list.key.bytes.last == UInt8(ascii: "s")
    if !isPacked {
      let headBytes = min(list.sizeBytes, Self.listHeadBytes)
      guard let head = try received(.start(0..<headBytes, of: list, in: store), list),
        CountFile.beginsWIDS(head)
      else { return nil }
    }
    guard let bytes = try received(.start(0..<list.sizeBytes, of: list, in: store), list) else {
      return nil
    }
    return isPacked ? CountFile.streamingWDS(bytes) : CountFile.wids(bytes)
  }

  // MARK: Stating

  /// The bytes of a file; nil where it is not there any more, or not for us.
  private func received(
    _ fetch: SmallFetch,
    _ object: ObjectInfo
  ) throws(StoreError) -> [UInt8]? {
    do throws(StoreError) {
      return try fetch.wait()
    } catch {
      switch error {
      case .refused, .noSuchObject:
        log.warning(
          "a file with counts is not used: \(error)",
          metadata: ["event": "index.refused", "object": "\(object.key)"]
        )
        return nil
      default: throw error
      }
    }
  }

  private func state(
    _ count: CountFile.Count?,
    ofShard shard: Int,
    source: String,
    into counts: inout StatedCounts
  ) {
    guard let count else { return }
    // A shard of another size is another shard.
    if let bytes = count.shardBytes, bytes != dataset.shards[shard].sizeBytes { return }
    counts.state(count.samples, ofShard: shard, source: source)
  }
}
