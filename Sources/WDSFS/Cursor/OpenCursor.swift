package import Logging
package import SampleOrder

/// The cursor that a mount starts from, and the file that it saves its own in.
package struct OpenCursor: Sendable {
  package let file: CursorFile

  /// Of all the files together; nil at a fresh start.
  package let cursor: Cursor?

  /// Opens what `--cursor` names: before anything is mounted, and for as long as it is.
  ///
  /// - Parameters:
  ///   - settings: With the mountpoint's links resolved.
  ///   - log: Hears which files count and which do not.
  /// - Returns: Nil without `--cursor`.
  /// - Throws: `.cursor`, or `.usage` for paths that make no sense together; nothing is overwritten.
  package static func open(
    _ settings: MountSettings,
    log: Logger
  ) throws(Failure) -> OpenCursor? {
    guard !settings.order.cursorPaths.isEmpty else { return nil }
    let places = try CursorPlaces(settings.order.cursorPaths, mountPoint: settings.mountPoint)
    return try OpenCursor(places, mountPoint: settings.mountPoint, log: log)
  }

  /// Takes hold of the written file and reads all.
  package init(
    _ places: CursorPlaces,
    mountPoint: String?,
    log: Logger
  ) throws(Failure) {
    let (file, own) = try CursorFile.claim(places.written, mountPoint: mountPoint)
    var found: [(path: String, cursor: Cursor)] = []
    if let own { found.append((file.path, own)) }
    for path in places.others {
      guard CursorPlaces.exists(path) else {
        log.warning(
          "no such cursor, so what it would say does not count: \(path)",
          metadata: ["event": "cursor.missing", "file": "\(path)"]
        )
        continue
      }
      found.append((path, try CursorReading.cursor(at: path)))
    }
    let merged = try Self.merged(found)
    for path in merged.superseded {
      log.notice(
        "of an earlier world size, and known to a later cursor: \(path)",
        metadata: ["event": "cursor.superseded", "file": "\(path)"]
      )
    }
    self.file = file
    cursor = merged.cursor
    guard let cursor else { return }
    log.info(
      "resuming from \(found.count - merged.superseded.count) cursor files, save \(cursor.sequence)",
      metadata: [
        "event": "cursor.loaded", "file": "\(file.path)", "sequence": "\(cursor.sequence)",
      ]
    )
  }

  /// Makes one cursor of several files.
  ///
  /// - Returns: Nil of none; and the files that a later leg has taken up already.
  /// - Throws: `.cursor`, naming the two files that do not belong together.
  package static func merged(
    _ found: [(path: String, cursor: Cursor)]
  ) throws(Failure) -> (cursor: Cursor?, superseded: [String]) {
    let counting = found.indices.filter { place in
      !found.indices.contains { other in
        // Of two that say nothing, and so are each other's, the first counts.
        found[place].cursor.isSuperseded(by: found[other].cursor)
          && (other < place || !found[other].cursor.isSuperseded(by: found[place].cursor))
      }
    }
    .map { found[$0] }
    guard let first = counting.first else { return (nil, []) }
    for other in counting.dropFirst() {
      do {
        try first.cursor.checkRun(other.cursor)
      } catch {
        throw Failure(.cursor, sentence(error, first.path, other.path))
      }
    }
    do {
      let cursor = try Cursor.merge(counting.map(\.cursor)).cursor
      let paths = Set(counting.map(\.path))
      return (cursor, found.map(\.path).filter { !paths.contains($0) })
    } catch {
      throw Failure(.cursor, "\(first.path): \(error)")
    }
  }

  private static func sentence(_ error: CursorError, _ first: String, _ other: String) -> String {
    guard case .notOfOneRun(let what, let ofFirst, let ofOther) = error else {
      return "\(other): \(error)"
    }
    return "the cursors are not of one run: \(what) is \(ofFirst) in \(first) and \(ofOther) in "
      + "\(other); leave one of them out"
  }
}

// MARK: - What it must agree with

extension OpenCursor {
  /// Refuses a cursor of another dataset, and options that contradict it.
  ///
  /// - Parameters:
  ///   - order: What the user said.
  ///   - fingerprints: By split, of those that are mounted.
  /// - Throws: `.cursor`, naming the file and both values.
  package func check(
    _ order: OrderSettings,
    fingerprints: [String: String]
  ) throws(Failure) {
    guard let cursor else { return }
    do throws(CursorError) {
      for (split, fingerprint) in fingerprints.sorted(by: { $0.key < $1.key }) {
        try cursor.check(split: split, fingerprint: fingerprint)
      }
      try order.options.check(against: cursor)
    } catch {
      throw refusal(error)
    }
  }

  /// The cursor, brought to a world size.
  ///
  /// - Throws: `.cursor` where it holds some ranks only, and of another size.
  package func resumed(atWorldSize worldSize: Int) throws(Failure) -> Cursor? {
    guard var cursor else { return nil }
    do throws(CursorError) {
      try cursor.resume(atWorldSize: worldSize)
    } catch {
      throw refusal(error)
    }
    return cursor
  }

  package func refusal(_ error: CursorError) -> Failure {
    Failure(.cursor, "\(file.path): \(error)")
  }
}
