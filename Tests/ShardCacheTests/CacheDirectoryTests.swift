import Glibc
import ShardCache
import TestSupport
import Testing

@Suite struct CacheDirectoryTests {
  private let folder: TemporaryDirectory

  init() throws {
    folder = try TemporaryDirectory()
  }

  private func mode(_ name: String) throws -> mode_t {
    var status = stat()
    try #require(stat("\(folder.path)/\(name)", &status) == 0)
    return status.st_mode & 0o777
  }

  /// Why a directory is refused.
  private func refusal(_ name: String) throws -> String {
    do {
      _ = try CacheDirectory(path: "\(folder.path)/\(name)")
    } catch {
      return "\(error)"
    }
    Issue.record("\(name) was taken")
    return ""
  }

  @Test("It is made with its parents, for its owner alone, and opened again")
  func made() throws {
    _ = try CacheDirectory(path: "\(folder.path)/a/b/cache//")
    let again = try CacheDirectory(path: "\(folder.path)/a/b/cache")
    #expect(again.path == "\(folder.path)/a/b/cache")
    #expect(try mode("a/b/cache") == 0o700)
    for name in ["", "/chunks", "/indexes", "/mounts"] {
      #expect(try mode("a/b/cache/wdsfs-1\(name)") == 0o700)
    }
  }

  @Test("A link is refused, with and without a slash behind it", arguments: ["link", "link/"])
  func link(name: String) throws {
    try folder.makeDirectory("real")
    folder.link("link", to: "\(folder.path)/real")
    let text = try refusal(name)
    #expect(text.contains("\(folder.path)/link: it is a link"))
  }

  @Test("A file, a link below, and what others may write to are refused by their full path")
  func refused() throws {
    try folder.write([], to: "file")
    #expect(try refusal("file").contains("\(folder.path)/file: it is a link or a file"))
    #expect(try refusal("file/cache").contains("\(folder.path)/file/cache"))
    try folder.makeDirectory("open")
    chmod("\(folder.path)/open", 0o777)
    #expect(try refusal("open").contains("\(folder.path)/open: others may write to it"))
    _ = try CacheDirectory(path: "\(folder.path)/inner")
    chmod("\(folder.path)/inner/wdsfs-1/chunks", 0o720)
    #expect(try refusal("inner").contains("\(folder.path)/inner/wdsfs-1/chunks: others may write"))
    rmdir("\(folder.path)/inner/wdsfs-1/chunks")
    folder.link("inner/wdsfs-1/chunks", to: "/tmp")
    #expect(try refusal("inner").contains("\(folder.path)/inner/wdsfs-1/chunks: it is a link"))
  }

  @Test("What others could read is closed to them")
  func closed() throws {
    try folder.makeDirectory("cache")
    try folder.makeDirectory("cache/wdsfs-1")
    _ = try CacheDirectory(path: "\(folder.path)/cache")
    #expect(try mode("cache/wdsfs-1") == 0o700)
  }

  @Test("Someone else's directory is refused")
  func someoneElses() throws {
    guard geteuid() == 0 else { return }
    try folder.makeDirectory("theirs")
    try #require(chown("\(folder.path)/theirs", 12345, 12345) == 0)
    #expect(try refusal("theirs").contains("it belongs to user 12345"))
  }

  @Test("A directory on a file system that takes no writes is refused")
  func readOnly() throws {
    guard geteuid() == 0 else { return }
    try folder.makeDirectory("cache")
    let path = "\(folder.path)/cache"
    _ = try CacheDirectory(path: path)
    try #require(RunningProcess("/bin/mount", ["--bind", path, path]).wait() == 0)
    defer { _ = try? RunningProcess("/bin/umount", ["-l", path]).wait() }
    try #require(RunningProcess("/bin/mount", ["-o", "remount,ro,bind", path]).wait() == 0)
    #expect(try refusal("cache").contains("it is not writable"))
  }

  @Test("The free space is that of the nearest folder that is there")
  func freeBytes() throws {
    let here = try #require(CacheDirectory.freeBytes(at: folder.path))
    let below = try #require(CacheDirectory.freeBytes(at: "\(folder.path)/not/there/yet"))
    #expect(here > 0)
    #expect(abs(here - below) < 1 << 30)
  }

  @Test("No name is no directory")
  func empty() throws {
    #expect(throws: CacheDirectoryError.unusable(path: "", reason: "it has no name")) {
      try CacheDirectory(path: "")
    }
  }

  @Test("Fetches at once are as many as memory allows, and one at least")
  func memory() {
    var settings = CacheSettings(place: .disk, budgetBytes: 1 << 30, maxFetchCount: 16)
    for (mebibytes, count) in [(4096, 16), (96, 16), (64, 8), (40, 2), (16, 1), (0, 1)] {
      settings.limitMemory(toBytes: Int64(mebibytes) << 20)
      #expect(settings.maxFetchCount == count)
    }
  }
}
