import Glibc
import Instruments
import Synchronization

/// The store over a local or NFS directory laid out like a bucket.
///
/// Keys are paths below the directory. Reads run on a few threads of the store's own, never on the
/// caller's, since a disk or an NFS server may make them wait.
package final class DirectoryStore: ObjectStore {
  /// Enough to keep a disk's queue filled, few enough for a machine of two cores.
  package static let defaultThreads = 4

  package let displayName: String
  package let identity: String
  let root: String
  private let rootDescriptor: RootDescriptor
  private let descriptors = DescriptorCache()
  private let queue = ReadQueue()

  /// Of reads, from the thread that took one up to its end or its next pause.
  private let times = LatencyHistogram()

  /// Opens the directory and starts the store's threads.
  ///
  /// - Throws: `StoreError.noSuchContainer` where it is missing, `.invalid` where it is a file,
  ///   `.refused` where it may not be read.
  package init(path: String, threads: Int = defaultThreads) throws(StoreError) {
    root = path
    displayName = PrintableName.text(path.utf8)
    identity = "file:" + path
    rootDescriptor = RootDescriptor(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    guard rootDescriptor.number >= 0 else {
      // The listing's own first step fails in the same way, and has the words for it.
      try DirectoryListing(root: path).walk { (_) throws(StoreError) in }
      throw .file(path: displayName, errno: EIO)
    }
    for number in 0..<max(1, threads) {
      WorkerThread.start(name: "wdsfs-file-\(number)") { [self] in serve() }
    }
  }

  package func list(
    onPage page: (_ objects: [ObjectInfo]) throws(StoreError) -> Void
  ) throws(StoreError) {
    try DirectoryListing(root: root).walk(onPage: page)
  }

  package func fetch(
    _ request: RangeRequest,
    into receiver: any RangeReceiver
  ) -> any FetchTicket {
    let job = FileRead(request: request, receiver: receiver, queue: queue)
    if !queue.add(job) { job.finish(.failure(.cancelled)) }
    return job
  }

  package var statistics: StoreStatistics { queue.statistics }

  package var requestTimes: RequestTimes {
    var requestTimes = RequestTimes()
    requestTimes.whole = times.value
    return requestTimes
  }

  /// Cancels what waits; the threads end with their present reads.
  package func shutDown() {
    for job in queue.close() { job.finish(.failure(.cancelled)) }
    descriptors.closeAll()
  }
}

// MARK: - The threads

extension DirectoryStore {
  /// Two kernel read-ahead windows: large enough that a disk streams, small enough that a
  /// receiver's pause wastes little.
  private static let blockBytes = 256 * 1024

  private func serve() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.blockBytes, alignment: 4096)
    defer { buffer.deallocate() }
    while let job = queue.next() {
      let start = MonotonicTime.now
      switch run(job, buffer) {
      case .finished(let result):
        if case .success = result { times.observe(since: start) }
        queue.finished(job, result)
        job.finish(result)
      case .paused:
        queue.paused(job)
      }
    }
  }

  private enum Step {
    case finished(Result<Void, StoreError>)
    case paused
  }

  /// Reads on from where the job stands, until its end, an error or a pause.
  private func run(_ job: FileRead, _ buffer: UnsafeMutableRawBufferPointer) -> Step {
    let object = job.request.object
    do throws(StoreError) {
      if job.isCancelled { throw .cancelled }
      let descriptor = try openFile(object)
      var isSound = false
      defer {
        if isSound { descriptors.giveBack(descriptor, of: object) } else { close(descriptor) }
      }
      while job.position < job.request.range.upperBound {
        if job.isCancelled { throw .cancelled }
        let count = try read(job, descriptor, buffer)
        switch job.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count])) {
        case .more:
          job.position += Int64(count)
          queue.received(count)
        case .pause:
          isSound = true
          return .paused
        case .stop: throw .cancelled
        }
      }
      isSound = true
      return .finished(.success(()))
    } catch {
      return .finished(.failure(error))
    }
  }

  /// Reads a block, and makes sure after reading that the file is still the listed one.
  private func read(
    _ job: FileRead,
    _ descriptor: Int32,
    _ buffer: UnsafeMutableRawBufferPointer
  ) throws(StoreError) -> Int {
    let object = job.request.object
    let wanted = min(Int64(buffer.count), job.request.range.upperBound - job.position)
    let count = patiently {
      pread(descriptor, buffer.baseAddress, Int(wanted), Int(job.position))
    }
    guard count >= 0 else { throw .file(path: path(of: object.key), errno: errno) }
    var status = stat()
    guard patiently({ Int(fstat(descriptor, &status)) }) == 0 else {
      throw .file(path: path(of: object.key), errno: errno)
    }
    try check(object, status)
    guard count > 0 else {
      throw .objectChanged(key: object.key, listed: object.eTag, found: "a shorter file")
    }
    return count
  }

  /// Opens the listed file, or takes it from the cache; either way the path must still lead to it.
  private func openFile(_ object: ObjectInfo) throws(StoreError) -> Int32 {
    let name = object.key.bytes
    let parts = name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard !name.contains(0), !parts.contains(where: { $0.isEmpty || $0.elementsEqual("..".utf8) })
    else { throw .noSuchObject(key: object.key) }
    var status = stat()
    let found = (name + [0]).withUnsafeBufferPointer { name in
      patiently { Int(fstatat(rootDescriptor.number, name.cString, &status, 0)) }
    }
    guard found == 0 else { throw error(object, errno) }
    try check(object, status)
    if let descriptor = descriptors.take(object) { return descriptor }
    // Never waits, even if the name now leads to a pipe.
    let descriptor = (name + [0]).withUnsafeBufferPointer { name in
      patiently {
        Int(openat(rootDescriptor.number, name.cString, O_RDONLY | O_CLOEXEC | O_NONBLOCK))
      }
    }
    guard descriptor >= 0 else { throw error(object, errno) }
    return Int32(descriptor)
  }

  /// What the machine may be short of for a moment: of none of it a reader hears.
  private static let shortages = [EINTR, EAGAIN, ENOMEM, ENOBUFS, EMFILE, ENFILE]

  private static let maxPatience: Duration = .seconds(20)
  private static let pauseNanoseconds = 10_000_000

  /// Makes a system call again where it has failed for want of something.
  ///
  /// - Parameter call: Returns less than 0 for a failure.
  /// - Returns: What the last call did, with its errno.
  private func patiently(_ call: () -> Int) -> Int {
    let begin = ContinuousClock.now
    while true {
      let result = call()
      guard result < 0, Self.shortages.contains(errno) else { return result }
      let code = errno
      guard ContinuousClock.now - begin < Self.maxPatience else {
        errno = code
        return result
      }
      if code == EINTR { continue }
      if code == EMFILE || code == ENFILE { descriptors.closeIdle() }
      var pause = timespec(tv_sec: 0, tv_nsec: Self.pauseNanoseconds)
      nanosleep(&pause, nil)
    }
  }

  private func check(_ object: ObjectInfo, _ status: stat) throws(StoreError) {
    let found = ObjectInfo.eTag(status)
    guard found == object.eTag, status.st_mode & S_IFMT == S_IFREG else {
      throw .objectChanged(key: object.key, listed: object.eTag, found: found)
    }
  }

  private func error(_ object: ObjectInfo, _ code: Int32) -> StoreError {
    code == ENOENT || code == ENOTDIR
      ? .noSuchObject(key: object.key)
      : DirectoryListing.error(path(of: object.key), code)
  }

  private func path(of key: ObjectKey) -> String {
    PrintableName.text(Array(root.utf8) + [UInt8(ascii: "/")] + key.bytes)
  }
}

/// The open directory; closed when the store and its threads are gone.
private final class RootDescriptor: Sendable {
  let number: Int32

  init(_ number: Int32) {
    self.number = number
  }

  deinit {
    if number >= 0 { close(number) }
  }
}
