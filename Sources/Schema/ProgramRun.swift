import CProcess
import Glibc

/// One program at work, and our ends of its pipes.
struct ProgramRun: ~Copyable {
  private let child: pid_t
  private var input: Int32
  private var outputEnd: Int32
  private var messageEnd: Int32

  /// As `waitpid` gives it; nil while it runs.
  private(set) var status: Int32?
  private(set) var output: [UInt8] = []

  /// What it wrote to its standard error; the end of it.
  private(set) var message: [UInt8] = []
  private static let keptMessageBytes = 4096

  /// - Parameter start: Starts the program with these as its descriptors 0, 1 and 2.
  /// - Throws: `.noMeans`, and what the program's start throws.
  init(
    start: (_ ends: [Int32]) throws(DecodeError) -> pid_t
  ) throws(DecodeError) {
    var ours: [Int32] = []
    var theirs: [Int32] = []
    var isStarted = false
    defer {
      for end in theirs { Glibc.close(end) }
      if !isStarted { for end in ours { Glibc.close(end) } }
    }
    for isInput in [true, false, false] {
      var ends: [Int32] = [-1, -1]
      guard wdsfs_pipe(&ends, O_CLOEXEC) == 0 else {
        throw .noMeans("no pipe for the program: \(String(cString: strerror(errno)))")
      }
      ours.append(isInput ? ends[1] : ends[0])
      theirs.append(isInput ? ends[0] : ends[1])
    }
    child = try start(theirs)
    isStarted = true
    (input, outputEnd, messageEnd) = (ours[0], ours[1], ours[2])
    for end in ours { _ = wdsfs_set_nonblocking(end) }
  }

  /// Whether it may still write.
  var isOpen: Bool { outputEnd >= 0 }

  /// Looks whether it has ended.
  mutating func look() {
    guard status == nil else { return }
    var code: Int32 = 0
    let found = waitpid(child, &code, WNOHANG)
    if found == child { status = code }
    // Somebody else has waited for it: only its output can tell.
    if found < 0, errno == ECHILD { status = 0 }
  }

  /// Writes and reads what goes without waiting, and waits a little where nothing does.
  mutating func exchange(
    _ rest: inout Slice<UnsafeRawBufferPointer>,
    maxBytes: Int,
    tickMilliseconds: Int32
  ) throws(DecodeError) {
    if rest.isEmpty { Self.close(&input) }
    // A negative descriptor is passed over.
    var ends = [
      pollfd(fd: input, events: Int16(POLLOUT), revents: 0),
      pollfd(fd: outputEnd, events: Int16(POLLIN), revents: 0),
      pollfd(fd: messageEnd, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&ends, 3, tickMilliseconds) > 0 else { return }
    if ends[0].revents != 0 { write(&rest) }
    if ends[1].revents != 0 {
      try Self.read(&outputEnd, into: &output)
      guard output.count <= maxBytes else {
        throw .tooLarge("the program has written more than \(maxBytes) bytes; see --cache-size")
      }
    }
    if ends[2].revents != 0 {
      try Self.read(&messageEnd, into: &message)
      message.removeFirst(max(0, message.count - Self.keptMessageBytes))
    }
  }

  private mutating func write(_ rest: inout Slice<UnsafeRawBufferPointer>) {
    let bytes = UnsafeRawBufferPointer(rebasing: rest)
    // The signal of a pipe that nobody reads is ignored in this process.
    let count = Glibc.write(input, bytes.baseAddress, bytes.count)
    if count >= 0 {
      rest = rest.dropFirst(count)
    } else if errno != EAGAIN, errno != EINTR {
      // It reads no more, which is its own affair.
      rest = rest.dropFirst(rest.count)
    }
  }

  private static func read(
    _ end: inout Int32,
    into bytes: inout [UInt8]
  ) throws(DecodeError) {
    let count = withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { block in
      let count = Glibc.read(end, block.baseAddress, block.count)
      if count > 0 { bytes += block[..<count] }
      return count
    }
    if count < 0, errno == EINTR || errno == EAGAIN { return }
    if count <= 0 { close(&end) }
  }

  private static func close(_ end: inout Int32) {
    if end >= 0 { Glibc.close(end) }
    end = -1
  }

  /// Ends the program if it still runs, and closes the pipes.
  mutating func close() {
    Self.close(&input)
    Self.close(&outputEnd)
    Self.close(&messageEnd)
    guard status == nil else { return }
    kill(-child, SIGKILL)
    var code: Int32 = 0
    while waitpid(child, &code, 0) < 0, errno == EINTR {}
    status = code
  }
}
