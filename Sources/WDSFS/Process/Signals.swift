import Glibc
import Remote

/// The signals that ask the process to end, waited for on a thread of their own.
///
/// No code runs in a signal handler: there, hardly a call is allowed.
package enum Signals {
  private static let handled = [SIGTERM, SIGINT, SIGHUP]

  /// How long a second signal waits for what must not be left out, such as the cursor's write.
  private static let lastMilliseconds = 600

  /// Keeps the signals from every thread that is made from here on; call it before there are any.
  package static func block() {
    var signals = set()
    pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  /// Waits for signals; the first asks for an orderly end, the second ends the process at once.
  ///
  /// - Parameters:
  ///   - first: Called on a thread of its own, which it may hold up.
  ///   - second: Called likewise; the process exits with code 10 when it returns, and within a
  ///     second in any case.
  package static func handle(
    first: @escaping @Sendable (_ signal: Int32) -> Void,
    second: @escaping @Sendable (_ signal: Int32) -> Void
  ) {
    WorkerThread.start(name: "signals") {
      let signal = wait()
      WorkerThread.start(name: "stop") { first(signal) }
      let again = wait()
      WorkerThread.start(name: "stop-now") {
        second(again)
        _exit(ExitCode.forced.rawValue)
      }
      // Every signal is blocked on this thread, so that the sleep is not cut short.
      var time = timespec(tv_sec: 0, tv_nsec: lastMilliseconds * 1_000_000)
      nanosleep(&time, nil)
      _exit(ExitCode.forced.rawValue)
    }
  }

  /// For example `Terminated`.
  package static func name(_ signal: Int32) -> String {
    guard let text = strsignal(signal) else { return "unknown" }
    return String(cString: text)
  }

  private static func wait() -> Int32 {
    var signals = set()
    var signal: Int32 = 0
    while sigwait(&signals, &signal) != 0 {}
    return signal
  }

  private static func set() -> sigset_t {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in handled { sigaddset(&signals, signal) }
    return signals
  }
}
