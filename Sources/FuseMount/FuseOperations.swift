import CFuse
import Glibc
import Instruments
import SampleTree
import ShardCache

/// The callbacks, as libfuse wants them: functions that capture nothing.
///
/// Each copies its arguments, makes one attempt on libfuse's own thread, and leaves what is not
/// answered by then to `FuseContext.settle`.
enum FuseOperations {
  static var all: fuse_lowlevel_ops {
    var operations = fuse_lowlevel_ops()
    operations.`init` = { _, connection in
      guard let connection else { return }
      FuseOperations.prepare(&connection.pointee)
    }
    addReading(&operations)
    addListing(&operations)
    addAttributes(&operations)
    addRefusals(&operations)
    return operations
  }

  /// Tells the kernel how the tree is to be used.
  fileprivate static func prepare(_ connection: inout fuse_conn_info) {
    // As the option of the mount says too, which the kernel goes by.
    connection.max_read = UInt32(ShardReader.maxReadBytes)
    // The default of 12 would stop every read once a dozen wait for the network.
    connection.max_background = 1024
    connection.congestion_threshold = 1024
    // Every listing brings the attributes along: without, each file costs a lookup of its own.
    connection.want |= UInt32(FUSE_CAP_READDIRPLUS)
    connection.want &= ~UInt32(FUSE_CAP_READDIRPLUS_AUTO)
    // See `ParallelLookups`.
    connection.want |= connection.capable & UInt32(FUSE_CAP_PARALLEL_DIROPS)
    // The kernel opens by itself and would take a truncating open for done; so it asks for it.
    connection.want &= ~UInt32(FUSE_CAP_ATOMIC_O_TRUNC)
    // With it the kernel has who reads past the page cache wait for all requests, killed or not.
    connection.want &= ~UInt32(FUSE_CAP_ASYNC_DIO)
    // A rank's listing changes with its epoch, and its directory's time with it: so the kernel
    // compares times before it shows what it has kept of a listing.
    connection.want |= connection.capable & UInt32(FUSE_CAP_AUTO_INVAL_DATA)
  }

  // MARK: Files

  private static func addReading(_ operations: inout fuse_lowlevel_ops) {
    operations.read = { request, inode, count, offset, _ in
      guard let request, let context = FuseContext.of(request) else { return }
      let start = MonotonicTime.now
      let offset = Int64(offset)
      var reply: Reply? = Reply(request)
      do throws(Obstacle) {
        try context.answering.read(
          inode,
          at: offset,
          count: count,
          since: start,
          hasWaited: false,
          &reply
        )
      } catch {
        reply.take()?.leave()
        let again = Operation.read(inode: inode, offset: offset, count: count, since: start)
        context.settle(request, error, again)
      }
    }
    // "Not implemented" is remembered: from then on the kernel opens and closes by itself.
    operations.open = { request, _, _ in fuse_reply_err(request, ENOSYS) }
    operations.opendir = { request, _, _ in fuse_reply_err(request, ENOSYS) }
    operations.flush = { request, _, _ in fuse_reply_err(request, ENOSYS) }
    operations.forget = { request, inode, lookupCount in
      guard let request, let context = FuseContext.of(request) else { return }
      context.tree.forget(inode, lookupCount: lookupCount)
      fuse_reply_none(request)
    }
    operations.forget_multi = { request, count, forgets in
      guard let request, let context = FuseContext.of(request) else { return }
      for forget in UnsafeBufferPointer(start: forgets, count: count) {
        context.tree.forget(forget.ino, lookupCount: forget.nlookup)
      }
      fuse_reply_none(request)
    }
  }

  // MARK: Directories

  private static func addListing(_ operations: inout fuse_lowlevel_ops) {
    operations.lookup = { request, parent, name in
      guard let request, let name, let context = FuseContext.of(request) else { return }
      let bytes = UnsafeRawBufferPointer(start: name, count: strlen(name))
      var reply: Reply? = Reply(request)
      do throws(Obstacle) {
        try context.answering.lookUp(bytes, in: parent, &reply)
      } catch {
        reply.take()?.leave()
        context.settle(request, error, .lookUp(parent: parent, name: Array(bytes)))
      }
    }
    operations.readdir = { request, inode, count, offset, _ in
      FuseOperations.list(request, inode, offset, count, isPlus: false)
    }
    operations.readdirplus = { request, inode, count, offset, _ in
      FuseOperations.list(request, inode, offset, count, isPlus: true)
    }
  }

  fileprivate static func list(
    _ request: fuse_req_t?,
    _ inode: UInt64,
    _ offset: off_t,
    _ count: Int,
    isPlus: Bool
  ) {
    guard let request, let context = FuseContext.of(request) else { return }
    let offset = UInt64(bitPattern: Int64(offset))
    var reply: Reply? = Reply(request)
    do throws(Obstacle) {
      let answering = context.answering
      let pages = answering.pages
      try answering.list(inode, from: offset, count: count, isPlus: isPlus, pages: pages, &reply)
    } catch {
      reply.take()?.leave()
      let again = Operation.list(inode: inode, offset: offset, count: count, isPlus: isPlus)
      context.settle(request, error, again)
    }
  }

  // MARK: Attributes

  private static func addAttributes(_ operations: inout fuse_lowlevel_ops) {
    operations.getattr = { request, inode, _ in
      FuseOperations.attempt(request, .attributes(inode: inode))
    }
    operations.getxattr = { request, inode, name, count in
      guard let name else { return }
      let bytes = UnsafeRawBufferPointer(start: name, count: strlen(name))
      FuseOperations.attempt(
        request,
        .extendedAttribute(inode: inode, name: Array(bytes), count: count)
      )
    }
    operations.listxattr = { request, inode, count in
      FuseOperations.attempt(request, .extendedAttributeNames(inode: inode, count: count))
    }
    operations.statfs = { request, _ in
      guard let request, let context = FuseContext.of(request) else { return }
      Reply(request).fileSystem(totalBytes: context.tree.totalBytes)
    }
  }

  fileprivate static func attempt(_ request: fuse_req_t?, _ operation: Operation) {
    guard let request, let context = FuseContext.of(request) else { return }
    var reply: Reply? = Reply(request)
    do throws(Obstacle) {
      try context.answering.perform(operation, &reply)
    } catch {
      reply.take()?.leave()
      context.settle(request, error, operation)
    }
  }

  // MARK: Writes

  /// Everything that would change something is refused, also for root, whom modes do not stop; only
  /// the cursor files take writes.
  private static func addRefusals(_ operations: inout fuse_lowlevel_ops) {
    operations.setattr = { request, inode, wanted, fields, _ in
      guard let request, let wanted, let context = FuseContext.of(request) else { return }
      guard fields & FUSE_SET_ATTR_SIZE != 0 else { return Reply(request).error(EROFS) }
      context.truncate(inode, to: Int64(wanted.pointee.st_size), Reply(request))
    }
    operations.mknod = { request, _, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.mkdir = { request, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.unlink = { request, _, _ in fuse_reply_err(request, EROFS) }
    operations.rmdir = { request, _, _ in fuse_reply_err(request, EROFS) }
    operations.symlink = { request, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.rename = { request, _, _, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.link = { request, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.create = { request, _, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.write = { request, inode, bytes, count, offset, _ in
      guard let request, let bytes, let context = FuseContext.of(request) else { return }
      let copy = Array(UnsafeRawBufferPointer(start: bytes, count: count))
      context.write(copy, at: Int64(offset), to: inode, request)
    }
    operations.fallocate = { request, _, _, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.setxattr = { request, _, _, _, _, _ in fuse_reply_err(request, EROFS) }
    operations.removexattr = { request, _, _ in fuse_reply_err(request, EROFS) }
  }
}
