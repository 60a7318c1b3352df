import CFuse
import Glibc
package import Logging
import Remote
package import SampleTree
import ShardCache
import Synchronization

/// One mounted tree: made by `init`, served by `run`, gone when that returns.
package final class FuseSession: @unchecked Sendable {
  // Proof of `@unchecked Sendable`: the pointers are set once, in `init`; libfuse guards what they
  // point to, and `run` is called once.
  let session: OpaquePointer
  private let context: Unmanaged<FuseContext>
  private let threadCount: UInt32

  /// What libfuse and the kernel are told at mount.
  package struct Settings: Sendable {
    /// What /proc/mounts shows as the source, for example `s3://bucket/prefix`.
    package var sourceName: String
    package var owner: Owner
    package var allowsOthers: Bool

    /// Further options for libfuse, as after `-o`.
    package var extraOptions: [String]

    package init(
      sourceName: String,
      owner: Owner,
      allowsOthers: Bool = false,
      extraOptions: [String] = []
    ) {
      self.sourceName = sourceName
      self.owner = owner
      self.allowsOthers = allowsOthers
      self.extraOptions = extraOptions
    }
  }

  /// Mounts the tree.
  ///
  /// Nothing is answered before `run`; the kernel queues what comes meanwhile. Calls
  /// `fuse_session_mount`.
  ///
  /// - Parameters:
  ///   - tree: What is shown.
  ///   - mountPoint: An absolute path to an empty directory.
  ///   - settings: Name, owner and rights.
  ///   - meters: What counts the reads.
  ///   - logger: For requests that fail.
  /// - Throws: `FuseError`.
  package init(
    _ tree: MountTree,
    at mountPoint: String,
    settings: Settings,
    meters: ReadMeters,
    logger: Logger
  ) throws(FuseError) {
    let answering = Answering(tree: tree, owner: settings.owner, meters: meters)
    let context = Unmanaged.passRetained(FuseContext(answering: answering, logger: logger))
    var operations = FuseOperations.all
    let arguments = ["wdsfs"] + Self.options(settings).flatMap { ["-o", $0] }
    let made = Self.withCStrings(arguments) { pointers in
      wdsfs_session_new(
        Int32(pointers.count),
        pointers.baseAddress,
        &operations,
        MemoryLayout<fuse_lowlevel_ops>.size,
        context.toOpaque()
      )
    }
    guard let made else {
      context.release()
      throw .refusedOptions(settings.extraOptions)
    }
    guard fuse_session_mount(made, mountPoint) == 0 else {
      let status = errno
      fuse_session_destroy(made)
      context.release()
      throw .cannotMount(mountPoint: mountPoint, errno: status)
    }
    guard KernelChannel.open(for: made) else {
      fuse_session_unmount(made)
      fuse_session_destroy(made)
      context.release()
      throw .cannotMount(mountPoint: mountPoint, errno: ENOMEM)
    }
    session = made
    self.context = context
    // Requests that miss are parked, so a few more threads than cores keep all of them busy.
    threadCount = UInt32(max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) + 2
    answering.pages.connect(to: made, maxStoreCount: Int(threadCount) - 2)
  }

  deinit {
    fuse_session_destroy(session)
    context.release()
  }

  /// Answers requests until the mount is gone, however that happens.
  ///
  /// Blocks. When it returns nothing is mounted, no request waits for its answer, and no other
  /// thread will use the session. Calls `fuse_session_loop_mt` and `fuse_session_unmount`.
  ///
  /// - Returns: 0 after an unmount, else why no more requests came: an errno, negative.
  package func run() -> Int32 {
    var status = loop()
    var attempts = 1
    while status == Self.noThread, attempts < Self.maxThreadAttempts {
      attempts += 1
      var pause = timespec(tv_sec: 0, tv_nsec: 10_000_000)
      nanosleep(&pause, nil)
      fuse_session_reset(session)
      status = loop()
    }
    if status == 0 {
      status = -context._withUnsafeGuaranteedRef { $0.readFailure.load(ordering: .relaxed) }
    }
    // Nothing to do where the mount is gone already; after an error none must be left behind that
    // nobody serves.
    fuse_session_unmount(session)
    context._withUnsafeGuaranteedRef { context in
      context.end()
      context.settled.signal()
    }
    return status
  }

  /// Blocks until the kernel has had its first answer, or `run` is over; for one caller, once.
  ///
  /// Whoever asked the mount itself, from its own process, and was killed then would wait for an
  /// answer that nobody gives, and hold the device open for ever.
  ///
  /// - Returns: Whether the mount answers.
  package func waitUntilAnswering() -> Bool {
    context._withUnsafeGuaranteedRef { context in
      context.settled.wait()
      return context.isAnswering.load(ordering: .acquiring)
    }
  }

  /// What libfuse says where it could not start the first of its threads; not an errno.
  private static let noThread: Int32 = -1

  /// As patient as for a thread of our own, some nine seconds.
  private static let maxThreadAttempts = 900

  private func loop() -> Int32 {
    guard let configuration = fuse_loop_cfg_create() else { return -ENOMEM }
    defer { fuse_loop_cfg_destroy(configuration) }
    fuse_loop_cfg_set_clone_fd(configuration, 1)
    fuse_loop_cfg_set_max_threads(configuration, threadCount)
    // Threads that were started for a burst stay: the next burst comes with the next batch.
    fuse_loop_cfg_set_idle_threads(configuration, threadCount)
    return fuse_session_loop_mt(session, configuration)
  }

  /// How many requests wait for bytes.
  package var waitingCount: Int { context._withUnsafeGuaranteedRef { $0.parked.count } }

  /// What libfuse is given, as after `-o`.
  ///
  /// nosuid, nodev and noatime always: a tar may hold anything. Not `ro`, since the cursor is
  /// written. No read is larger than what the tree shows at once, whatever the size of a page.
  package static func options(_ settings: Settings) -> [String] {
    var options = [
      "fsname=\(escaped(settings.sourceName))", "subtype=wdsfs", "default_permissions", "nosuid",
      "nodev", "noatime", "max_read=\(ShardReader.maxReadBytes)",
    ]
    if settings.allowsOthers { options.append("allow_other") }
    return options + settings.extraOptions
  }

  /// libfuse splits options at commas, and mount tables show a line end as the end of an entry.
  private static func escaped(_ name: String) -> String {
    var text = ""
    for character in name.unicodeScalars {
      if character.value < 0x20 || character.value == 0x7F {
        text += "?"
        continue
      }
      if character == "," || character == "\\" { text += "\\" }
      text.unicodeScalars.append(character)
    }
    return text
  }

  private static func withCStrings<Value>(
    _ texts: [String],
    _ body: (UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>) -> Value
  ) -> Value {
    var pointers = texts.map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { body($0) }
  }
}

/// Why nothing was mounted.
package enum FuseError: Error, Sendable, CustomStringConvertible {
  case refusedOptions([String])
  case cannotMount(mountPoint: String, errno: Int32)

  package var description: String {
    switch self {
    case .refusedOptions(let options):
      "libfuse refuses these mount options: \(options.joined(separator: ","))"
    case .cannotMount(let mountPoint, let status):
      "\(mountPoint): cannot mount: \(errorText(status))"
    }
  }
}
