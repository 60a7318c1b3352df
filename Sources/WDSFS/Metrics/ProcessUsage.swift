import Glibc
import Instruments

/// What the process itself takes, under the names that every Prometheus client gives it.
enum ProcessUsage {
  static var families: [MetricFamily] {
    var families = [MountMetric.processCPU.family(.number(cpuSeconds))]
    if let bytes = residentBytes {
      families.append(MountMetric.processMemory.family(.count(bytes)))
    }
    if let count = openFileCount { families.append(MountMetric.processFiles.family(.count(count))) }
    families.append(MountMetric.processStart.family(.number(startSeconds)))
    return families
  }

  /// Of processors, since the process was started.
  static var cpuSeconds: Double { seconds(of: CLOCK_PROCESS_CPUTIME_ID) }

  /// Seconds since 1970; of this code's first use, some milliseconds after the process's start.
  private static let startSeconds = seconds(of: CLOCK_REALTIME)

  /// To be called when the process starts, so that `startSeconds` says what its name says.
  static func noteStart() {
    _ = startSeconds
  }

  private static func seconds(of clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec / 1_000_000) / 1000
  }

  /// The second number of /proc/self/statm, in pages.
  static var residentBytes: Int? {
    let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
      let count = read(file, buffer.baseAddress, buffer.count)
      guard count > 0 else { return nil }
      let numbers = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
      guard numbers.count > 1, let pages = Int(numbers[1]) else { return nil }
      return pages &* sysconf(Int32(_SC_PAGESIZE))
    }
  }

  static var openFileCount: Int? {
    guard let folder = opendir("/proc/self/fd") else { return nil }
    defer { closedir(folder) }
    var count = 0
    while let entry = readdir(folder) {
      // Neither `.` nor `..`, which no descriptor is called.
      if entry.pointee.d_name.0 != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
    }
    // Without the one that looks.
    return max(0, count - 1)
  }
}
