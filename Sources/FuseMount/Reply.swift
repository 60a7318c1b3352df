import CFuse
import Glibc
import SampleTree

/// The one answer that a request is owed: consuming it answers, dropping it answers `EIO`.
struct Reply: ~Copyable {
  private let request: fuse_req_t
  private var isOwed = true

  init(_ request: fuse_req_t) {
    self.request = request
  }

  deinit {
    if isOwed { fuse_reply_err(request, EIO) }
  }

  /// Leaves the answer to somebody else, who has the request now.
  consuming func leave() {
    isOwed = false
  }

  /// Answers with an error, or with success where there is nothing to say.
  ///
  /// Calls `fuse_reply_err`; from any thread.
  consuming func error(_ status: Int32) {
    isOwed = false
    fuse_reply_err(request, status)
  }

  /// Answers a lookup.
  ///
  /// Calls `fuse_reply_entry`; from any thread.
  ///
  /// - Returns: Whether the kernel has taken it.
  consuming func entry(_ entry: borrowing Entry) -> Bool {
    isOwed = false
    var parameters = entry.parameters
    return fuse_reply_entry(request, &parameters) == 0
  }

  /// Answers `stat`.
  ///
  /// Calls `fuse_reply_attr`; from any thread.
  consuming func attributes(_ attributes: stat, seconds: Double) {
    isOwed = false
    var attributes = attributes
    fuse_reply_attr(request, &attributes, seconds)
  }

  /// Answers with bytes, which are read before the call returns.
  ///
  /// Calls `fuse_reply_buf`; from any thread.
  consuming func bytes(_ bytes: UnsafeRawBufferPointer) {
    isOwed = false
    fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
  }

  /// Answers with two pieces as one, which are read before the call returns.
  ///
  /// Calls `fuse_reply_iov`; from any thread.
  consuming func bytes(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) {
    guard !second.isEmpty else { return bytes(first) }
    isOwed = false
    withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
      pieces[0] = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress),
        iov_len: first.count
      )
      pieces[1] = iovec(
        iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress),
        iov_len: second.count
      )
      fuse_reply_iov(request, pieces.baseAddress, 2)
    }
  }

  /// Answers that so many bytes were written.
  ///
  /// Calls `fuse_reply_write`; from any thread.
  consuming func written(_ count: Int) {
    isOwed = false
    fuse_reply_write(request, count)
  }

  /// Answers how large an attribute's value is.
  ///
  /// Calls `fuse_reply_xattr`; from any thread.
  consuming func attributeSize(_ count: Int) {
    isOwed = false
    fuse_reply_xattr(request, count)
  }

  /// Answers `statfs`: so many bytes, all of them used.
  ///
  /// Calls `fuse_reply_statfs`; from any thread.
  consuming func fileSystem(totalBytes: Int64) {
    isOwed = false
    let blockBytes: Int64 = 4096
    var status = statvfs()
    status.f_bsize = UInt(blockBytes)
    status.f_frsize = UInt(blockBytes)
    status.f_blocks = fsblkcnt_t(clamping: totalBytes / blockBytes + 1)
    status.f_namemax = 255
    fuse_reply_statfs(request, &status)
  }
}

/// A node as the kernel keeps it.
struct Entry {
  var parameters = fuse_entry_param()

  /// What is immutable may be kept for as long as the kernel likes: about 30 years.
  static let foreverSeconds = 1e9

  init(_ attributes: Attributes, owner: Owner, keepsEntry: Bool) {
    parameters.ino = attributes.inode
    parameters.attr = owner.status(attributes)
    parameters.attr_timeout = Self.foreverSeconds
    parameters.entry_timeout = keepsEntry ? Self.foreverSeconds : 0
  }

  /// Says that a name is not there and never will be.
  static func missing() -> Entry {
    var entry = Entry()
    entry.parameters.entry_timeout = foreverSeconds
    return entry
  }

  private init() {}
}

/// Who the tree belongs to.
package struct Owner: Sendable {
  package var user: UInt32
  package var group: UInt32

  package init(user: UInt32, group: UInt32) {
    self.user = user
    self.group = group
  }

  func status(_ attributes: Attributes) -> stat {
    var status = stat()
    status.st_ino = UInt(attributes.shownInode ?? attributes.inode)
    status.st_uid = user
    status.st_gid = group
    // One link tells `find` that it cannot count a directory's folders by its links.
    status.st_nlink = 1
    status.st_size = off_t(attributes.sizeBytes)
    status.st_blocks = blkcnt_t((attributes.sizeBytes + 511) / 512)
    status.st_blksize = 128 << 10
    let time = timespec(tv_sec: time_t(attributes.modifiedSeconds), tv_nsec: 0)
    status.st_mtim = time
    status.st_mtim.tv_nsec = Int(attributes.modifiedNanoseconds % 1_000_000_000)
    // The kernel drops its listing by the other time; by this one tar takes a directory for one that
    // was changed while it was read, as a rank's is once all of it was.
    status.st_ctim = time
    status.st_atim = time
    if attributes.isDirectory {
      status.st_mode = S_IFDIR | 0o555
    } else if attributes.isPrivate {
      status.st_mode = S_IFREG | 0o600
    } else {
      status.st_mode = S_IFREG | 0o444
    }
    return status
  }
}
