import Glibc
import Testing

/// A process whose only doing is to hold a folder open.
final class HoldingProcess {
  let processID: pid_t

  init(holding path: String, running command: [String] = ["sleep", "600"]) throws {
    // Opened as a place only, which asks nothing of what is mounted there.
    let place = open(path, Self.placeOnly | O_DIRECTORY)
    try #require(place >= 0)
    defer { close(place) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, place, 9)
    var arguments = command.map { strdup($0) } + [nil]
    defer {
      for argument in arguments { free(argument) }
    }
    var processID: pid_t = 0
    try #require(posix_spawnp(&processID, command[0], &actions, nil, &arguments, nil) == 0)
    self.processID = processID
  }

  /// `O_PATH` of fcntl.h, a GNU extension that Swift does not see.
  private static let placeOnly: Int32 = 0o10_000_000

  func kill() {
    Glibc.kill(processID, SIGKILL)
  }

  deinit {
    kill()
    waitpid(processID, nil, 0)
  }
}
