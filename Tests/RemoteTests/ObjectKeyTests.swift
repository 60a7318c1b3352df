import Remote
import Testing

@Suite struct ObjectKeyTests {
  @Test("keys that look alike but differ in bytes are different keys")
  func bytesDecide() {
    #expect(ObjectKey("caf\u{E9}.tar") != ObjectKey("cafe\u{301}.tar"))
    #expect("caf\u{E9}.tar" == "cafe\u{301}.tar", "String would not tell them apart")
  }

  @Test("keys sort by their bytes, as listings do")
  func order() {
    let sorted = ["b", "a/1", "a", "\u{E9}", "Z"].map { ObjectKey($0) }.sorted()
    #expect(sorted == ["Z", "a", "a/1", "b", "\u{E9}"].map { ObjectKey($0) })
  }
}
