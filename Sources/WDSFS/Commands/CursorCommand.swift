import ArgumentParser
import SampleOrder

/// `wdsfs cursor`: look at cursor files, join them, move them.
struct CursorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cursor",
    abstract: "Look at, join or move the saved place of a run.",
    discussion: """
      With --cursor FILE, a mount keeps in FILE what each rank has read, and goes
      on from it.

      How far each rank is:
        wdsfs cursor show run7.cursor
      One of those of all nodes:
        wdsfs cursor merge node-*.cursor -o run7.cursor
      Once more from the epoch's start:
        wdsfs cursor set run7.cursor --position 0
      """,
    subcommands: [CursorShowCommand.self, CursorMergeCommand.self, CursorSetCommand.self]
  )
}

/// `wdsfs cursor merge`: one cursor of those that the nodes of a job each saved.
struct CursorMergeCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Make one cursor of those of all nodes.",
    discussion: """
      To standard output, or into a file:
        wdsfs cursor merge node-*.cursor > run7.cursor
        wdsfs cursor merge node-*.cursor -o run7.cursor

      Of each rank the latest commit counts, or where none was made, all that
      was read. Files of another order, dataset or world size are refused, and
      ranks of which nothing was read are named. A directory stands for all
      *.cursor in it.
      """
  )

  @Argument(help: "Cursor files, or directories of them.")
  var files: [String]

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Write there; what it held is kept as FILE.previous.", valueName: "file")
  )
  var output: String?

  func run(in program: Program) throws(Failure) -> ExitCode {
    var found: [(path: String, cursor: Cursor)] = []
    for path in try CursorArguments.files(files, program.user) {
      found.append((path, try CursorReading.cursor(at: path)))
    }
    let (merged, superseded) = try OpenCursor.merged(found)
    guard let merged else {
      throw Failure(.cursor, "no cursor in \(files.joined(separator: ", ")); name files")
    }
    if let output {
      let (file, _) = try CursorFile.claim(program.user.absolute(output))
      do throws(CursorFile.SaveError) {
        try file.save(merged)
      } catch {
        throw Failure(.cursor, "\(error); the old one is intact")
      }
    } else {
      try CommandOutput.write(merged.encoded())
    }
    for path in superseded {
      StandardError.print(
        PrintableText.oneLine("left out, as a later cursor has taken it up: \(path)")
      )
    }
    for line in try Self.idleRanks(merged) { StandardError.print(PrintableText.oneLine(line)) }
    return .success
  }

  private static func idleRanks(_ cursor: Cursor) throws(Failure) -> [String] {
    let idle: [String: [Int]]
    do {
      idle = try Cursor.merge([cursor]).idleRanks
    } catch {
      throw Failure(.cursor, "\(error)")
    }
    return idle.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty }.map { split, ranks in
      "nothing was read of \(split) by \(NumberText.counted(ranks.count, "rank")): "
        + NumberText.ranges(ranks)
    }
  }
}

enum CursorArguments {
  /// The files that are named, those of directories included.
  static func files(_ paths: [String], _ user: MountingUser) throws(Failure) -> [String] {
    var files: [String] = []
    for path in paths.map(user.absolute) {
      guard CursorPlaces.isFolder(path) else {
        files.append(path)
        continue
      }
      let names = try CursorPlaces.names(in: path)
      guard !names.isEmpty else {
        throw Failure(.cursor, "no *\(CursorPlaces.suffix) in \(path); name the files themselves")
      }
      files += names.map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
    }
    return files
  }
}
