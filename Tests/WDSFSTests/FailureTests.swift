import Remote
import Testing
import WDSFS

@Suite struct FailureTests {
  @Test(
    "Each error of a store has its exit code",
    arguments: [
      (.noSuchContainer("s3://b"), .notFound),
      (.noSuchObject(key: ObjectKey("k")), .notFound),
      (.objectChanged(key: ObjectKey("k"), listed: "a", found: "b"), .internalError),
      (.refused(what: "list", code: "AccessDenied", detail: "no"), .credentials),
      (.credentials("none found"), .credentials),
      (.unreachable(endpoint: "http://h", detail: "refused"), .unreachable),
      (.exhausted(what: "list", attempts: 3, seconds: 9.96, detail: "503"), .unreachable),
      (.rangesUnsupported(key: ObjectKey("k")), .internalError),
      (.badReply(what: "list", detail: "not XML"), .unreachable),
      (.invalid("no bucket"), .usage),
      (.file(path: "/d", errno: 2), .notFound),
      (.file(path: "/d", errno: 13), .credentials),
      (.file(path: "/d", errno: 5), .internalError),
      (.cancelled, .internalError),
    ] as [(StoreError, ExitCode)]
  )
  func codes(_ error: StoreError, _ code: ExitCode) {
    let failure = Failure(error, remote: "s3://b/p")
    #expect(failure.code == code)
    #expect(failure.sentence.contains("s3://b/p") || failure.sentence.contains(": "))
  }

  @Test func whatHelpsStandsLastAndOnce() {
    let plain = StoreError.unreachable(endpoint: "https://h", detail: "SSL::wrong version number")
    #expect(Failure(plain, remote: "s3://b").sentence.hasSuffix("is it http://?"))
    let advised = StoreError.credentials("none found; give --no-sign-request")
    #expect(Failure(advised, remote: "s3://b").sentence.hasSuffix("give --no-sign-request"))
    let path = StoreError.noSuchContainer("the directory /w/b")
    #expect(Failure(path, remote: "b").sentence.hasSuffix("a bucket is written s3://bucket/folder"))
    #expect(Failure(path, remote: "file:///w/b").sentence.hasSuffix("bucket and folder"))
  }

  @Test func aSentenceStaysOneHarmlessLine() {
    let failure = Failure(.usage, "a\nb\r\n\u{1b}[31mred\u{9b}x\u{202e}\u{0}\n")
    #expect(failure.description == #"wdsfs: a b \x1B[31mred\u{9b}x\u{202e}\x00"#)
    let name = ObjectKey([0x61, 0x0a, 0xff, 0x5c, 0xc3, 0xa9])
    let gone = Failure(.noSuchObject(key: name), remote: "s3://b")
    #expect(gone.sentence.contains(#"a\x0A\xFF\x5Cé of s3://b"#))
  }
}
