import ArgumentParser
import Glibc

/// One run of the executable: what it was given, and how it ends.
package struct Program: Sendable {
  /// The whole command line, the program's name first.
  package let arguments: [String]
  package let environment: [String: String]
  package let user: MountingUser

  /// Set in the daemon that another run started: where that run waits for word.
  package let status: StatusPipe?

  /// What a mount does once all is checked; returns when it has ended.
  package let serve: Serve

  package typealias Serve =
    @Sendable (MountSettings, MountProcess) throws(Failure) -> ExitCode

  package init(
    arguments: [String],
    environment: [String: String],
    user: MountingUser,
    status: StatusPipe?,
    serve: @escaping Serve
  ) {
    self.arguments = arguments
    self.environment = environment
    self.user = user
    self.status = status
    self.serve = serve
  }

  /// Parses and runs; every error has become one line by then.
  package func run() -> ExitCode {
    do throws(Failure) {
      guard let command = try parse() else { return .success }
      return try command.run(in: self)
    } catch {
      if let status {
        status.report(.failed(error))
      } else {
        StandardError.print(error.description)
      }
      return error.code
    }
  }

  /// What the command line says a mount is to be; nil where it asks for something else.
  package func mountSettings() throws(Failure) -> MountSettings? {
    guard let command = try parse() as? MountCommand else { return nil }
    return try command.settings(environment: environment, user: user)
  }

  /// Nil where there is nothing to run: help or version was asked for, and has been printed.
  private func parse() throws(Failure) -> (any Subcommand)? {
    do {
      guard let words = Invocation.arguments(of: arguments) else { return nil }
      var command = try RootCommand.parseAsRoot(words)
      if let command = command as? any Subcommand { return command }
      try command.run()
      return nil
    } catch {
      let text = RootCommand.fullMessage(for: error)
      guard RootCommand.exitCode(for: error).rawValue != EXIT_SUCCESS else {
        print(text)
        return nil
      }
      throw Failure(.usage, sentence(for: error))
    }
  }

  /// The parser's message, begun in lower case and with advice.
  private func sentence(for error: any Error) -> String {
    if let (given, meant) = misspeltCommand {
      return "no such command: '\(given)'; did you mean wdsfs \(meant)? See wdsfs --help"
    }
    var message = RootCommand.message(for: error)
    if message.hasSuffix(".") { message.removeLast() }
    let first = message.prefix(1).lowercased()
    message = "\(first)\(message.dropFirst())".replacing(". Did you mean", with: "; did you mean")
    let see = message.hasSuffix("?") ? " See" : "; see"
    return "\(message)\(see) wdsfs \(commandName) --help"
  }
}

extension Program {
  /// The command whose help serves best.
  private var commandName: String {
    let words = Array(arguments.dropFirst().prefix(2))
    guard let first = words.first,
      let command = RootCommand.configuration.subcommands.first(where: { $0.isNamed(first) })
    else { return "mount" }
    let inner = words.dropFirst().first.flatMap { word in
      command.configuration.subcommands.first { $0.isNamed(word) }
    }
    let names = [command, inner].compactMap { $0?.configuration.commandName }
    return names.joined(separator: " ")
  }
}

extension Program {
  /// The first words where they are nearly a command; the first alone is taken for a remote to mount
  /// without this.
  private var misspeltCommand: (given: String, meant: String)? {
    let words = arguments.dropFirst().prefix(2)
    let commands = RootCommand.configuration.subcommands
    guard let first = words.first else { return nil }
    guard let command = commands.first(where: { $0.isNamed(first) }) else {
      return Self.nearest(to: first, among: commands).map { (first, $0) }
    }
    let inner = command.configuration.subcommands
    guard words.count == 2, let second = words.last else { return nil }
    return Self.nearest(to: second, among: inner).map { ("\(first) \(second)", "\(first) \($0)") }
  }

  /// The command that a word is but for a letter or two; nil too where it is one.
  private static func nearest(
    to word: String,
    among commands: [any ParsableCommand.Type]
  ) -> String? {
    guard word.allSatisfy(\.isLetter) else { return nil }
    let near = commands.compactMap { $0.configuration.commandName }
      .map { ($0, EditDistance.of(Array($0), Array(word))) }
    guard let (name, letters) = near.min(by: { $0.1 < $1.1 }), (1...2).contains(letters) else {
      return nil
    }
    return name
  }
}

extension ParsableCommand {
  fileprivate static func isNamed(_ word: String) -> Bool {
    configuration.commandName == word || configuration.aliases.contains(word)
  }
}

// MARK: - The process as it was started

extension Program {
  /// Takes arguments, variables, user and status pipe from the running process.
  package static func current(serve: @escaping Serve) -> Program {
    let status = StatusPipe.inherited()
    return Program(
      arguments: CommandLine.arguments,
      environment: ProcessEnvironment.variables,
      user: MountingUser(uid: getuid(), gid: getgid(), workingDirectory: currentDirectory()),
      status: status,
      serve: serve
    )
  }

  private static func currentDirectory() -> String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
  }
}
