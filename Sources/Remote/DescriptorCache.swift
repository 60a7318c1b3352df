import Glibc
import Synchronization

/// Keeps the files open that are read again and again, a bounded number of them.
final class DescriptorCache: Sendable {
  /// docs/reliability.md, L20: at most 256 descriptors for caches; the remote's share of them.
  static let maxIdle = 64

  private struct Entry {
    let descriptor: Int32
    let eTag: String
    var usedAt: UInt64
  }

  private struct State {
    var idle: [ObjectKey: Entry] = [:]
    var clock: UInt64 = 0
    var isClosed = false
  }

  private let state = Mutex(State())

  /// Takes an open file out of the cache; the caller gives it back or closes it.
  func take(_ object: ObjectInfo) -> Int32? {
    state.withLock { state in
      guard let entry = state.idle[object.key], entry.eTag == object.eTag else { return nil }
      state.idle[object.key] = nil
      return entry.descriptor
    }
  }

  /// Keeps the file open for the next reader, and closes the one that was used longest ago where
  /// there are too many.
  func giveBack(_ descriptor: Int32, of object: ObjectInfo) {
    let surplus: [Int32] = state.withLock { state in
      guard !state.isClosed else { return [descriptor] }
      state.clock += 1
      let entry = Entry(descriptor: descriptor, eTag: object.eTag, usedAt: state.clock)
      let replaced = state.idle.updateValue(entry, forKey: object.key)
      guard state.idle.count > Self.maxIdle,
        let oldest = state.idle.min(by: { $0.value.usedAt < $1.value.usedAt })
      else { return [replaced?.descriptor].compactMap(\.self) }
      state.idle[oldest.key] = nil
      return [replaced?.descriptor, oldest.value.descriptor].compactMap(\.self)
    }
    for descriptor in surplus { close(descriptor) }
  }

  /// Closes what nobody reads now, and keeps nothing open from now on.
  func closeAll() {
    state.withLock { $0.isClosed = true }
    closeIdle()
  }

  /// Closes what nobody reads now.
  func closeIdle() {
    let all = state.withLock { state in
      defer { state.idle = [:] }
      return state.idle.values.map(\.descriptor)
    }
    for descriptor in all { close(descriptor) }
  }
}
