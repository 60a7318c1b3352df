import ArgumentParser
import Glibc
import SampleOrder

/// `wdsfs cursor set`: move ranks to a position, as a commit does.
struct CursorSetCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Move ranks of a saved cursor to a position.",
    discussion: """
      All samples below the position count as read, and no others:
        wdsfs cursor set run7.cursor --position 12800
      One rank:
        wdsfs cursor set run7.cursor --rank 3 --position 12800
      One split, to the start of epoch 4:
        wdsfs cursor set run7.cursor --split train --position 4:0

      A position is the number of a sample's folder, 12800 that of 00012800, in
      the rank's present epoch where none is named. The cursor as it was is kept
      as FILE.previous. A mounted cursor is refused: there,
      echo 12800 > train/3/.cursor does the same.
      """
  )

  @Argument(help: "A cursor file.")
  var file: String

  @Option(help: ArgumentHelp("The position, or epoch and position.", valueName: "n|epoch:n"))
  var position: String

  @Option(help: ArgumentHelp("Only this rank; may be repeated.", valueName: "n"))
  var rank: [Int] = []

  @Option(help: ArgumentHelp("Only this split; may be repeated.", valueName: "name"))
  var split: [String] = []

  func run(in program: Program) throws(Failure) -> ExitCode {
    guard let request = CommitRequest(Array(position.utf8)) else {
      throw Failure(
        .usage,
        "--position: '\(position)' is no position; write 12800, or 3:12800 for epoch 3"
      )
    }
    let path = program.user.absolute(file)
    guard CursorPlaces.exists(path) else {
      throw Failure(.cursor, "no such cursor: \(path); wdsfs mount --cursor makes it")
    }
    let (file, saved) = try CursorFile.claim(path)
    guard var cursor = saved else {
      throw Failure(.cursor, "no such cursor: \(path); wdsfs mount --cursor makes it")
    }
    let names = try splits(of: cursor, path)
    let ranks = try ranks(of: cursor, path)
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let milliseconds = Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec / 1_000_000)
    for name in names {
      for rank in ranks {
        let present = cursor.splits[name]?.present.ranks[rank] ?? Progress()
        let epoch = request.epoch ?? present.epoch
        cursor.splits[name]?.present.ranks[rank] = Progress(
          epoch: epoch,
          consumed: Consumed(below: request.position),
          committedAt: milliseconds,
          length: epoch == present.epoch ? present.length : nil
        )
      }
    }
    do throws(CursorFile.SaveError) {
      try file.save(cursor)
    } catch {
      throw Failure(.cursor, "\(error); the old cursor is intact")
    }
    return .success
  }

  private func splits(of cursor: Cursor, _ path: String) throws(Failure) -> [String] {
    let known = cursor.splits.keys.sorted()
    for name in split where !known.contains(name) {
      throw Failure(
        .usage,
        "no split \(name) in \(path); there are \(known.joined(separator: ", "))"
      )
    }
    return split.isEmpty ? known : split
  }

  private func ranks(of cursor: Cursor, _ path: String) throws(Failure) -> [Int] {
    let held = cursor.ranks ?? Array(0..<(cursor.worldSize ?? 0))
    for number in rank where !held.contains(number) {
      throw Failure(
        .usage,
        "no rank \(number) in \(path); there are \(NumberText.ranges(held))"
      )
    }
    return rank.isEmpty ? held : rank
  }
}
