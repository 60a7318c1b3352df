import Logging
import Remote
import SampleOrder
import ShardCache

/// Whether the cache holds what a shuffled order has open at once.
enum WindowRoom {
  /// Warns in the log where it does not, with the size that would, as `wdsfs plan` does beforehand.
  ///
  /// The order is gone through on a thread of its own, since nothing waits for it.
  ///
  /// - Parameters:
  ///   - settings: The order's.
  ///   - dataset: As listed.
  ///   - counts: What the bucket states of the shards.
  ///   - cacheBytes: What the cache may take.
  ///   - log: Hears of it.
  static func check(
    _ settings: MountSettings,
    _ dataset: Dataset,
    _ counts: StatedCounts,
    cacheBytes: Int64,
    _ log: Logger
  ) {
    guard settings.order.options.shuffle == .full else { return }
    var input = Plan.Input(settings, remote: "", dataset, counts)
    input.cacheBytes = cacheBytes
    WorkerThread.start(name: "plan") { [input] in
      // Options that make no order have been refused before.
      for warning in (try? Plan(input))?.warnings ?? [] where warning.name == "cache-too-small" {
        log.warning("\(warning.text)", metadata: ["event": "cache.windows"])
      }
    }
  }
}
