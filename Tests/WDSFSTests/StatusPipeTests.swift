import Glibc
import Testing
import WDSFS

@Suite struct StatusPipeTests {
  @Test(
    "A report comes back as it was sent",
    arguments: [
      .mounted, .failed(Failure(.cannotMount, "not empty: /m; mount elsewhere")),
      .failed(Failure(.forced, "x")),
    ] as [StatusPipe.Report]
  )
  func roundTrip(_ report: StatusPipe.Report) {
    #expect(StatusPipe.decoded(StatusPipe.encoded(report)) == report)
  }

  @Test(
    "What is no whole report is none",
    arguments: [
      "", "mounted", "mounted\nmore", "failed 6 cut off", "failed six x\n", "failed 0 fine\n",
      "failed 99 x\n", "failed 6\n", "\n", "failed 99999999999 x\n",
    ]
  )
  func garbage(_ text: String) {
    #expect(StatusPipe.decoded(Array(text.utf8)) == nil)
  }

  @Test func aLongSentenceFitsInOneWrite() {
    let failure = Failure(.unreachable, String(repeating: "é", count: 10_000))
    let bytes = StatusPipe.encoded(.failed(failure))
    #expect(bytes.count <= StatusPipe.maxReportBytes)
    guard case .failed(let read) = StatusPipe.decoded(bytes) else {
      Issue.record("the report was lost")
      return
    }
    #expect(read.code == .unreachable)
  }

  @Test func onlyTheFirstReportIsMade() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    defer { close(ends[0]) }
    let status = StatusPipe(file: ends[1])
    #expect(status.report(.mounted))
    #expect(status.report(.failed(Failure(.usage, "late"))))
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(read(ends[0], &buffer, 100) == 8)
    #expect(read(ends[0], &buffer, 100) == 0)
  }

  @Test func aReportThatNobodyWaitsForSaysSo() throws {
    signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    close(ends[0])
    #expect(!StatusPipe(file: ends[1]).report(.mounted))
  }
}
