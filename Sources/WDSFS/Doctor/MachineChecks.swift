import CProcess
import Glibc
import Remote
import ShardCache

/// Looks at what a mount needs of this machine.
struct MachineChecks {
  let user: MountingUser

  /// Where the cache would be, and what it may take.
  let settings: MountSettings

  var findings: [Finding] {
    [fuse, helper, otherUsers, cache, memory, files, clock, log, fstab] + deadMounts
  }

  // MARK: FUSE

  private var fuse: Finding {
    do throws(Failure) {
      try MountPoint().checkDevice()
      return .good("FUSE", "/dev/fuse can be opened")
    } catch {
      return .bad("FUSE", error)
    }
  }

  private var helper: Finding {
    if user.uid == 0 { return .good("fusermount3", "not needed by root") }
    guard let path = Fusermount.path else {
      return .bad("fusermount3", "not found", "apt-get install fuse3", .cannotMount)
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_ISUID != 0, status.st_uid == 0 else {
      return .bad("fusermount3", "\(path) does not run as root", "chmod u+s \(path)", .cannotMount)
    }
    return .good("fusermount3", path)
  }

  private var otherUsers: Finding {
    let name = "allow_other"
    if user.uid == 0 { return .good(name, "root may let others read a mount") }
    let text = (try? WholeFile.read("/etc/fuse.conf", maxBytes: 1 << 16)) ?? []
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    let isAllowed = lines.contains { line in
      line.split(separator: " ").first.map { $0 == "user_allow_other" } ?? false
    }
    if isAllowed { return .good(name, "user_allow_other stands in /etc/fuse.conf") }
    return .note(
      name,
      "only you can read your mounts, which is enough where you train yourself",
      "for --allow-other: echo user_allow_other | sudo tee -a /etc/fuse.conf"
    )
  }

  private var deadMounts: [Finding] {
    MountTable.current().entries.filter(\.isWdsfs).compactMap { entry in
      let path = String(decoding: entry.target, as: UTF8.self)
      guard MountPoint.isStale(path) else { return nil }
      return .bad(
        "dead mount",
        "\(path): its wdsfs was killed",
        "wdsfs unmount --lazy \(path), or mount there again",
        .cannotMount
      )
    }
  }

  // MARK: Room

  private var cache: Finding {
    guard case .directory(let path) = settings.cachePlace else {
      return .good("cache", "in memory")
    }
    do throws(CacheDirectoryError) {
      _ = try CacheDirectory(path: path)
    } catch {
      return .bad("cache", Failure(.cache, "\(error)"))
    }
    let free = CacheDirectory.freeBytes(at: path) ?? 0
    let text = "\(path), \(SizeText.bytes(free)) free"
    guard free >= Self.usefulCacheBytes else {
      return .note("cache", text, "give a larger disk with --cache-dir DIR")
    }
    return .good("cache", text)
  }

  /// Some shards of a usual size for each of a few ranks.
  private static let usefulCacheBytes: Int64 = 10_000_000_000

  private var memory: Finding {
    let bytes = MemoryLimit.bytes()
    let text = "\(SizeText.bytes(bytes)) for this process"
    guard bytes >= 1 << 30 else {
      return .note("memory", text, "give the container 1 GiB or more")
    }
    return .good("memory", text)
  }

  private var files: Finding {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return .note("open files", "the limit is not known")
    }
    let text = "up to \(NumberText.grouped(Int(clamping: limit.rlim_max)))"
    guard limit.rlim_max >= 1024 else {
      return .note("open files", text, "ulimit -Hn 4096, or LimitNOFILE= in the unit")
    }
    return .good("open files", text)
  }

  // MARK: Surroundings

  /// Signed requests are refused where a clock is 15 minutes off.
  private var clock: Finding {
    guard wdsfs_clock_is_kept() != 0 else {
      return .note(
        "clock",
        "no time service says that it keeps this clock right; a bucket refuses requests that are "
          + "15 minutes off",
        "timedatectl set-ntp true, or see the host of this container"
      )
    }
    return .good("clock", "kept right by a time service")
  }

  private var log: Finding {
    guard access("/dev/log", W_OK) != 0 else {
      return .good("log", "in the background to /dev/log: journalctl -t wdsfs")
    }
    return .note(
      "log",
      "no journal or syslog takes lines here",
      "give --log-file FILE, or look into /.wdsfs/log of the mount"
    )
  }

  private var fstab: Finding {
    let helpers = ["/sbin/mount.wdsfs", "/usr/sbin/mount.wdsfs"]
    guard !helpers.contains(where: { access($0, X_OK) == 0 }) else {
      return .good("fstab", "mount -t wdsfs finds its helper")
    }
    return .note(
      "fstab",
      "mount -t wdsfs has no helper here; wdsfs mount needs none",
      "install the package, or: ln -s /usr/bin/wdsfs /sbin/mount.wdsfs"
    )
  }
}
