import CFuse
import Glibc
import Synchronization

/// How requests come from the kernel, and how answers go back.
///
/// Steps in between libfuse and its device, for two things that libfuse does not do: see `read` and
/// `ParallelLookups`.
enum KernelChannel {
  /// How long a thread looks out for the next request before it sleeps.
  ///
  /// A reader's next request comes within that time if it does nothing in between; more than this
  /// gained nothing and took time from the readers.
  private static let patienceNanoseconds = 20_000

  /// Has a session's requests and answers go through here.
  ///
  /// Call it once mounted, before the loop. Calls `fuse_session_custom_io`.
  ///
  /// - Returns: Whether there was memory for it.
  static func open(for session: OpaquePointer) -> Bool {
    var functions = fuse_custom_io()
    functions.read = { file, bytes, count, userData in
      let received = KernelChannel.read(file, bytes, count)
      if received < 0, errno != EINTR, errno != ENODEV {
        let failure = errno
        if let userData {
          let context = Unmanaged<FuseContext>.fromOpaque(userData)
          context._withUnsafeGuaranteedRef { $0.readFailure.store(failure, ordering: .relaxed) }
        }
        // As where the mount is gone. Of anything else libfuse's thread would write to stderr, and
        // another cancels it meanwhile, with the lock of stderr in its hand.
        errno = ENODEV
      }
      return received
    }
    functions.writev = { file, pieces, count, userData in
      guard let pieces else { return -1 }
      let answer = UnsafeBufferPointer(start: pieces, count: Int(count))
      guard let userData else { return KernelChannel.write(file, answer) }
      let context = Unmanaged<FuseContext>.fromOpaque(userData)
      return context._withUnsafeGuaranteedRef { context in
        guard context.isFirstAnswer() else { return KernelChannel.write(file, answer) }
        ParallelLookups.enable(in: answer)
        let sent = KernelChannel.write(file, answer)
        if sent > 0, KernelChannel.header(of: answer)?.error == 0 { context.answersNow() }
        return sent
      }
    }
    return fuse_session_custom_io(session, &functions, fuse_session_fd(session)) == 0
  }

  /// Waits for a request: awake for a moment, then asleep.
  ///
  /// Who reads files one after the other sends the next request a few microseconds after the last
  /// answer. To sleep in between and be woken, often on another core, takes longer than to answer;
  /// and a core that goes idle takes longer still to wake, above all in a virtual machine. What
  /// else wants to run on this core meanwhile goes first.
  ///
  /// Each of libfuse's threads has a device of its own (`clone_fd`), so its flags are its own. Where
  /// libfuse gets no clone its threads share one, and one thread may find that another has just told
  /// the device not to wait. An error that passes must not reach libfuse, which would end its loop
  /// and cancel its threads, one of them with a request in hand that nobody answers then.
  private static func read(_ file: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    while true {
      _ = fcntl(file, F_SETFL, O_RDWR | O_NONBLOCK)
      let end = now() + patienceNanoseconds
      repeat {
        let received = Glibc.read(file, bytes, count)
        if received >= 0 || !isPassing(errno) { return received }
        sched_yield()
      } while now() < end
      _ = fcntl(file, F_SETFL, O_RDWR)
      let received = Glibc.read(file, bytes, count)
      if received >= 0 || !isPassing(errno) { return received }
      var request = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
      poll(&request, 1, retryMilliseconds)
    }
  }

  /// Sends an answer, again where the kernel lacks something for a moment.
  ///
  /// Nobody else would send it again, and its reader would wait for it without end. Where it cannot
  /// be sent, EIO is the answer. What is no answer (its number is 0) may be lost.
  private static func write(_ file: Int32, _ pieces: UnsafeBufferPointer<iovec>) -> Int {
    var attempts = 1
    while true {
      let sent = writev(file, pieces.baseAddress, Int32(pieces.count))
      // ENOENT: who asked has been interrupted meanwhile.
      guard sent < 0, errno != ENOENT, errno != ENODEV, let number = header(of: pieces)?.number
      else { return sent }
      let failure = errno
      guard attempts < maxWriteAttempts, isPassing(failure) || failure == EINTR else {
        refuse(number, on: file)
        errno = failure
        return sent
      }
      attempts += 1
      var pause = timespec(tv_sec: 0, tv_nsec: 10_000_000)
      nanosleep(&pause, nil)
    }
  }

  /// Ten seconds.
  private static let maxWriteAttempts = 1_000

  /// What an answer begins with; nil for what is none.
  private static func header(of pieces: UnsafeBufferPointer<iovec>) -> AnswerHeader? {
    guard let first = pieces.first, first.iov_len >= MemoryLayout<AnswerHeader>.size,
      let header = first.iov_base?.loadUnaligned(as: AnswerHeader.self), header.number != 0
    else { return nil }
    return header
  }

  private static func refuse(_ number: UInt64, on file: Int32) {
    let size = MemoryLayout<AnswerHeader>.size
    var header = AnswerHeader(sizeBytes: UInt32(size), error: -EIO, number: number)
    _ = Glibc.write(file, &header, size)
  }

  /// `fuse_out_header` of linux/fuse.h.
  private struct AnswerHeader: BitwiseCopyable {
    var sizeBytes: UInt32
    var error: Int32
    var number: UInt64
  }

  /// What the kernel says of one moment.
  private static func isPassing(_ code: Int32) -> Bool { code == EAGAIN || code == ENOMEM }

  /// A request that is there ends the wait, unless it is one that the kernel has no memory for.
  private static let retryMilliseconds: Int32 = 1_000

  private static func now() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000_000_000 + now.tv_nsec
  }
}
