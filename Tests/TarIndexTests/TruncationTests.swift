import TarIndex
import Testing

/// Objects that were cut off, at every length.
@Suite struct TruncationTests {
  /// One member of a plain archive: its header's offset, its data's end, its key.
  private struct Place {
    let header: Int
    let dataEnd: Int
    let key: String
  }

  @Test("a plain archive, cut at any length, keeps exactly the samples that are whole")
  func plain() {
    var writer = TarWriter()
    var places: [Place] = []
    for (key, size) in [("1", 600), ("1", 0), ("2", 3), ("3", 512), ("3", 513), ("4", 1)] {
      let header = writer.bytes.count
      writer.member("\(key).f\(places.count)", TarWriter.data(size))
      places.append(Place(header: header, dataEnd: header + 512 + size, key: key))
    }
    let memberBytes = writer.bytes.count
    writer.end()
    for length in 0...writer.bytes.count {
      let walk = Walk(Array(writer.bytes[..<length]))
      let (samples, error) = expectation(length, places, memberBytes: memberBytes)
      guard walk.index.sampleCount == samples, walk.errorName == error else {
        Issue.record("at \(length): \(walk.samples), \(walk.errorName ?? "no error")")
        return
      }
    }
  }

  /// The rules of the format description, over a list of members instead of bytes.
  private func expectation(
    _ length: Int,
    _ places: [Place],
    memberBytes: Int
  ) -> (samples: Int, error: String?) {
    if length == 0 { return (0, "empty") }
    if length < 512 { return (0, "not-tar") }
    var keys: [String] = []
    for place in places where place.dataEnd <= length {
      if keys.last != place.key { keys.append(place.key) }
    }
    let complete = max(0, keys.count - 1)
    if length >= memberBytes {
      let rest = length - memberBytes
      return rest > 0 && rest < 512 ? (complete, "truncated-header") : (keys.count, nil)
    }
    for place in places.reversed() where length > place.header {
      if length < place.header + 512 { return (complete, "truncated-header") }
      let paddedEnd = (place.dataEnd + 511) / 512 * 512
      if length == place.dataEnd || length == paddedEnd { return (keys.count, nil) }
      return (complete, "truncated-data")
    }
    return (complete, nil)
  }

  @Test(
    "any odd archive, cut at any length, gives a beginning of its samples",
    arguments: OddTars.all
  )
  func odd(_ tar: OddTar) throws {
    let whole = Walk(tar.archive, limits: tar.limits).samples
    let step = tar.cutStep
    for length in stride(from: 0, to: tar.archive.count, by: step) {
      let walk = Walk(Array(tar.archive[..<length]), limits: tar.limits)
      // Only the last sample may have fewer fields: where the cut is a clean end.
      let complete = walk.errorName == nil ? walk.samples.dropLast() : walk.samples[...]
      guard walk.index.isComplete, whole.starts(with: complete) else {
        Issue.record("at \(length): \(walk.samples)")
        return
      }
    }
  }
}
