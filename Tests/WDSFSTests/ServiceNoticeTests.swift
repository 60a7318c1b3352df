import Glibc
import TestSupport
import Testing
import WDSFS

@Suite struct ServiceNoticeTests {
  @Test("the service manager hears by path and by abstract name", arguments: [false, true])
  func hears(_ isAbstract: Bool) throws {
    let folder = try TemporaryDirectory()
    let address = isAbstract ? "@wdsfs-test-\(getpid())" : folder.path + "/notify"
    let listener = try Listener(address)
    let notice = try #require(ServiceNotice(environment: ["NOTIFY_SOCKET": address]))
    #expect(notice.ready("s3://b at /m\nREADY=0"))
    #expect(notice.stopping())
    #expect(try listener.next() == "READY=1\nSTATUS=s3://b at /m READY=0\n")
    #expect(try listener.next() == "STOPPING=1\nSTATUS=unmounting\n")
  }

  @Test(
    "nothing happens where nobody listens",
    arguments: ["/nonexistent/notify", "@nobody-there"]
  )
  func nobody(_ address: String) throws {
    let notice = try #require(ServiceNotice(environment: ["NOTIFY_SOCKET": address]))
    #expect(!notice.ready("x"))
    #expect(!notice.stopping())
  }

  @Test("what is no address is none", arguments: ["", "@", "/", "relative", "vsock:2:1"])
  func noAddress(_ address: String) {
    #expect(ServiceNotice(environment: ["NOTIFY_SOCKET": address]) == nil)
    #expect(ServiceNotice(environment: [:]) == nil)
  }

  @Test func anAddressThatIsTooLongIsNobody() throws {
    let address = "/" + String(repeating: "x", count: 200)
    let notice = try #require(ServiceNotice(environment: ["NOTIFY_SOCKET": address]))
    #expect(!notice.ready("x"))
  }
}

/// Takes datagrams, as systemd does.
private final class Listener {
  private let file: Int32

  init(_ address: String) throws {
    file = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    try #require(file >= 0)
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    let length = withUnsafeMutableBytes(of: &name.sun_path) { place in
      place.copyBytes(from: address.utf8)
      if address.hasPrefix("@") { place[0] = 0 }
      return MemoryLayout<sockaddr_un>.size - place.count + address.utf8.count
    }
    let status = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(file, $0, socklen_t(length))
      }
    }
    try #require(status == 0)
  }

  deinit { close(file) }

  func next() throws -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(file, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    try #require(count > 0)
    return String(decoding: buffer[..<count], as: UTF8.self)
  }
}
