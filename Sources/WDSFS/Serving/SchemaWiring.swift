import CProcess
import Glibc
import Logging
import Remote
import SampleTree
import Schema
import ShardCache
import TarIndex

/// From `--schema` to what decodes the fields of a mount.
enum SchemaWiring {
  /// - Returns: Nil without any rule.
  /// - Throws: `.usage` where a program is missing.
  static func decoding(
    _ settings: MountSettings,
    at address: RemoteAddress,
    _ log: Logger
  ) throws(Failure) -> FieldDecoding? {
    guard !settings.schema.isEmpty else { return nil }
    let budget = try CacheWiring.plannedBytes(settings, address)
    keepFreedMemory()
    do throws(ProgramError) {
      return try FieldDecoding(
        rules: settings.schema,
        onError: settings.onDecodeError,
        maxBytes: Int(clamping: CacheWiring.decodedBytes(of: budget, settings)),
        environment: ProcessEnvironment.variables,
        logger: log
      )
    } catch {
      throw Failure(.usage, "--schema: \(error); install it, or give its whole path")
    }
  }

  /// Has an image lie where another one lay.
  ///
  /// By glibc's own rules each array of half a megabyte goes back to the kernel and comes again page
  /// by page, which takes as long as to decode it.
  private static func keepFreedMemory() {
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, 64 << 20)
  }

  /// So many of a split's first samples are looked at.
  private static let lookedAtCount = 64

  /// Warns of rules for fields that none of the first samples has.
  ///
  /// Before anything is mounted, but where a shard must be fetched whole to be looked at: then that
  /// goes on meanwhile.
  static func warnOfMissing(
    _ settings: MountSettings,
    _ dataset: Dataset,
    _ cache: ShardReader,
    _ log: Logger
  ) {
    guard dataset.splits.compactMap(\.shards.first).allSatisfy(cache.isLikelyPlain) else {
      return WorkerThread.start(name: "schema") { lookAtFields(settings, dataset, cache, log) }
    }
    lookAtFields(settings, dataset, cache, log)
  }

  private static func lookAtFields(
    _ settings: MountSettings,
    _ dataset: Dataset,
    _ cache: ShardReader,
    _ log: Logger
  ) {
    var found: Set<String> = []
    for split in dataset.splits {
      guard let shard = split.shards.first else { continue }
      let waiter = CountWaiter()
      cache.wait(forSample: lookedAtCount - 1, ofShard: shard, waiter)
      // Whoever reads it hears of a failure.
      guard waiter.wait() == nil, let index = cache.index(ofShard: shard) else { return }
      for sample in 0..<min(lookedAtCount, index.sampleCount) {
        for ordinal in index.fieldOrdinals(ofSample: sample) {
          found.insert(index.withFieldName(ordinal) { String(decoding: $0, as: UTF8.self) })
        }
      }
    }
    for rule in settings.schema where !found.contains(rule.field) {
      let fields = found.sorted().prefix(20).map { PrintableName.text($0.utf8) }
      log.warning(
        """
        --schema \(rule.text): none of the first samples has a field \(rule.field); they have \
        \(fields.joined(separator: ", "))
        """,
        metadata: ["event": "schema.no_field", "field": "\(rule.field)"]
      )
    }
  }
}
