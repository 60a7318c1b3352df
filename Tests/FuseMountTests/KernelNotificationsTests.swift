import FuseMount
import Testing

@Suite struct KernelNotificationsTests {
  @Test("a name for the kernel has its NUL behind it", arguments: ["", "0", "17", "é"])
  func names(_ name: String) {
    let sent = FuseSession.terminated(Array(name.utf8))
    #expect(sent.last == 0 && sent.dropLast().allSatisfy { $0 != 0 })
    #expect(String(decoding: sent.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) == name)
  }
}
