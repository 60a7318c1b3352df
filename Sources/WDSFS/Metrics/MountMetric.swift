package import Instruments

/// Every metric that a mount tells, by its name: the list that page, dashboard and documents go by.
package enum MountMetric: String, CaseIterable, Sendable {
  case mountInfo = "wdsfs_mount_info"
  case uptime = "wdsfs_uptime_seconds"
  case reads = "wdsfs_reads_total"
  case readBytes = "wdsfs_read_bytes_total"
  case readSeconds = "wdsfs_read_seconds"
  case requestsWaiting = "wdsfs_requests_waiting"
  case samples = "wdsfs_samples_total"
  case cacheBudget = "wdsfs_cache_budget_bytes"
  case cacheUsed = "wdsfs_cache_used_bytes"
  case cacheChunks = "wdsfs_cache_chunks_total"
  case cacheEvictions = "wdsfs_cache_evictions_total"
  case corruptChunks = "wdsfs_cache_corrupt_chunks_total"
  case gets = "wdsfs_gets_total"
  case getBytes = "wdsfs_get_bytes_total"
  case getSeconds = "wdsfs_get_seconds"
  case getFirstByteSeconds = "wdsfs_get_first_byte_seconds"
  case getsInFlight = "wdsfs_gets_in_flight"
  case getLimit = "wdsfs_gets_in_flight_limit"
  case getFailures = "wdsfs_get_failures_total"
  case retries = "wdsfs_retries_total"
  case heldBackSeconds = "wdsfs_throttled_seconds_total"
  case indexes = "wdsfs_indexes_total"
  case damagedShards = "wdsfs_damaged_shards"
  case rankEpoch = "wdsfs_rank_epoch"
  case rankPosition = "wdsfs_rank_position"
  case rankConsumed = "wdsfs_rank_consumed_samples"
  case rankLength = "wdsfs_rank_length_samples"
  case rankSamples = "wdsfs_rank_samples_total"
  case rankWaits = "wdsfs_rank_wait_seconds_total"
  case logEvents = "wdsfs_log_events_total"
  case cursorSaveSeconds = "wdsfs_cursor_save_seconds"
  case cursorSaveFailures = "wdsfs_cursor_save_failures_total"
  case processCPU = "process_cpu_seconds_total"
  case processMemory = "process_resident_memory_bytes"
  case processFiles = "process_open_fds"
  case processStart = "process_start_time_seconds"

  package var name: String { rawValue }

  package var kind: MetricFamily.Kind {
    switch self {
    case .readSeconds, .getSeconds, .getFirstByteSeconds, .cursorSaveSeconds: .histogram
    case .mountInfo, .uptime, .requestsWaiting, .cacheBudget, .cacheUsed, .getsInFlight, .getLimit,
      .damagedShards, .rankEpoch, .rankPosition, .rankConsumed, .rankLength, .processMemory,
      .processFiles, .processStart:
      .gauge
    default: .counter
    }
  }

  /// What the numbers count, for the documents.
  package var unit: String {
    switch self {
    case .uptime, .readSeconds, .getSeconds, .getFirstByteSeconds, .heldBackSeconds, .rankWaits,
      .cursorSaveSeconds, .processCPU:
      "seconds"
    case .readBytes, .cacheBudget, .cacheUsed, .getBytes, .processMemory: "bytes"
    case .reads: "reads"
    case .requestsWaiting, .gets, .getsInFlight, .getLimit, .getFailures, .retries: "requests"
    case .samples, .rankConsumed, .rankLength, .rankSamples: "samples"
    case .cacheChunks, .cacheEvictions, .corruptChunks: "chunks of 1 MiB"
    case .indexes, .damagedShards: "shards"
    case .rankEpoch: "epoch number, from 0"
    case .rankPosition: "position, from 0"
    case .logEvents: "log lines"
    case .cursorSaveFailures: "saves"
    case .processFiles: "file descriptors"
    case .processStart: "seconds since 1970"
    case .mountInfo: "always 1"
    }
  }

  package var labels: [String] {
    switch self {
    case .mountInfo: ["version", "remote", "mountpoint"]
    case .reads, .readSeconds: ["result"]
    case .samples: ["split"]
    case .cacheUsed: ["place"]
    case .cacheChunks, .indexes: ["source"]
    case .retries: ["cause"]
    case .rankEpoch, .rankPosition, .rankConsumed, .rankLength, .rankSamples: ["split", "rank"]
    case .rankWaits: ["split", "rank", "cause"]
    case .logEvents: ["level"]
    default: []
    }
  }

  /// One sentence.
  package var help: String {
    switch self {
    case .mountInfo: "What is mounted where, and by which version."
    case .uptime: "How long the mount has been there."
    case .reads:
      "Reads of data by programs: hit, answered from memory at once; miss, had to wait; error."
    case .readBytes: "Bytes that reads were answered with."
    case .readSeconds:
      "From a read's arrival from the kernel to its answer, without those that failed."
    case .requestsWaiting: "Requests of programs, of any kind, that wait for bytes now."
    case .samples: "Samples that came to count as consumed, by their first read or by a commit."
    case .cacheBudget: "What the cache may take (--cache-size)."
    case .cacheUsed: "What the cache takes: memory, disk."
    case .cacheChunks: "Chunks brought to memory: from the remote, from disk."
    case .cacheEvictions: "Chunks that had to leave the cache for others."
    case .corruptChunks: "Chunks found damaged on disk by their checksum, and fetched again."
    case .gets: "Requests sent to the remote, repeated ones and listings included."
    case .getBytes: "Bytes of bodies that came from the remote."
    case .getSeconds: "From sending a request to the last byte of its answer, where it came whole."
    case .getFirstByteSeconds:
      "From sending a request to the end of its answer's head; none of a local directory."
    case .getsInFlight: "Requests that are with the remote now."
    case .getLimit:
      "How many may be: --max-workers, fewer after it asked for that; 0 for a local directory."
    case .getFailures: "Requests given up, after all retries."
    case .retries:
      """
      Requests to be sent again: reset, the connection broke; stalled, no byte came; unreachable, \
      no connection; server, it said it is sick; throttled, it asked for fewer; bad_reply, it sent \
      something else.
      """
    case .heldBackSeconds: "How long requests waited since the remote had asked for fewer."
    case .indexes: "Shards whose index came to be known: built from headers, loaded from the cache."
    case .damagedShards: "Shards found damaged, of which the samples before the damage are shown."
    case .rankEpoch: "The epoch a rank is in; ranks are told of once they are read in this mount."
    case .rankPosition: "The first position of the epoch that is not consumed."
    case .rankConsumed: "Positions of the epoch that are consumed."
    case .rankLength: "Samples in the rank's epoch, once all its shards are counted."
    case .rankSamples: "Samples of the rank that came to count as consumed in this mount."
    case .rankWaits:
      """
      How a rank's time since its first read was spent: network, reads waited for bytes on their \
      way; throttle, for bytes not yet asked for since the remote had asked for fewer requests; \
      reader, the mount waited for its reader.
      """
    case .logEvents: "Lines of the log, those left out as repetitions included."
    case .cursorSaveSeconds: "How long it took to save the cursor file."
    case .cursorSaveFailures: "Saves of the cursor file that failed, and are tried again."
    case .processCPU: "Processor time of the mount's process."
    case .processMemory: "Memory of the mount's process."
    case .processFiles: "Open files of the mount's process."
    case .processStart: "When the mount's process was started."
    }
  }

  /// The family with these series.
  func family(_ series: [MetricFamily.Series]) -> MetricFamily {
    MetricFamily(name: name, kind: kind, help: help, series: series)
  }
}
