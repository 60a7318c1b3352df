import Glibc

/// Lets a thread of ours sleep for a while, or until it is woken.
///
/// A pipe and poll(2), whose clock does not jump when the machine's time is set.
final class WakeUp: Sendable {
  private let reading: Int32
  private let writing: Int32

  init() {
    var ends: [Int32] = [-1, -1]
    let status = pipe(&ends)
    precondition(status == 0, "pipe failed with errno \(errno)")
    (reading, writing) = (ends[0], ends[1])
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
  }

  deinit {
    close(reading)
    close(writing)
  }

  /// Ends the present sleep, or else the next one.
  func wake() {
    FileDescriptorOutput.writeAll([1], to: writing)
  }

  func sleep(atMost time: Duration) {
    let milliseconds = max(0, min(Int64(time / .milliseconds(1)), Int64(Int32.max)))
    var ready = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
    guard poll(&ready, 1, Int32(milliseconds)) > 0 else { return }
    var buffer = [UInt8](repeating: 0, count: 64)
    while read(reading, &buffer, buffer.count) > 0 {}
  }
}
