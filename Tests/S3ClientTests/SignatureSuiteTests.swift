import FoundationEssentials
import S3Client
import TestSupport
import Testing

/// The AWS Signature Version 4 test suite, as botocore's source package carries it.
///
/// Needs that folder, named by `WDSFS_TEST_SIGNATURES`. Not asked for: `normalize-path` where S3
/// keeps a path that other services shorten, and headers given twice or on several lines, which a
/// request of ours never has.
@Suite(.enabled(if: RunningProcess.variable("WDSFS_TEST_SIGNATURES") != nil))
struct SignatureSuiteTests {
  private static let cases = [
    "get-header-value-trim", "get-unreserved", "get-utf8", "get-vanilla",
    "get-vanilla-empty-query-key", "get-vanilla-query", "get-vanilla-query-order-encoded",
    "get-vanilla-query-order-key", "get-vanilla-query-order-key-case",
    "get-vanilla-query-order-value", "get-vanilla-query-unreserved", "get-vanilla-utf8-query",
    "get-vanilla-with-session-token", "normalize-path/get-space",
    "normalize-path/get-special-character", "post-header-key-case", "post-header-key-sort",
    "post-header-value-case", "post-sts-token/post-sts-header-after",
    "post-sts-token/post-sts-header-before", "post-vanilla", "post-vanilla-empty-query-value",
    "post-vanilla-query", "post-x-www-form-urlencoded", "post-x-www-form-urlencoded-parameters",
  ]

  /// A file of the suite, with the name of its folder.
  private func text(_ name: String, _ kind: String) throws -> String {
    let folder = try #require(RunningProcess.variable("WDSFS_TEST_SIGNATURES"))
    let last = try #require(name.split(separator: "/").last)
    return try SmallFileText.read("\(folder)/\(name)/\(last).\(kind)")
  }

  @Test("a request of the published suite is signed as there", arguments: cases)
  func signature(name: String) throws {
    let request = try text(name, "req")
    let head = request.split(separator: "\n", omittingEmptySubsequences: false)
    let first = try #require(head.first).split(separator: " ")
    let target = first.dropFirst().dropLast().joined(separator: " ")
      .split(separator: "?", maxSplits: 1)
    var input = RequestSignature.Input(
      host: "example.amazonaws.com",
      path: PercentEncoding.encoded(try #require(target.first).utf8, keepingSlash: true)
    )
    input.method = String(try #require(first.first))
    input.service = "service"
    input.query = target.count > 1 ? PercentEncoding.repaired(target[1].utf8) : ""
    for line in head.dropFirst().prefix(while: { !$0.isEmpty }) {
      let field = line.split(separator: ":", maxSplits: 1).map(String.init)
      let name = field[0].lowercased()
      // What the signature adds by itself.
      if ["host", "x-amz-date", "x-amz-security-token"].contains(name) { continue }
      input.headers.append((name, field[1]))
    }
    let canonical = try text(name, "creq").split(separator: "\n")
    input.bodyHash = String(try #require(canonical.last))
    let token = canonical.first { $0.hasPrefix("x-amz-security-token:") }
    let headers = RequestSignature().headers(
      for: input,
      credentials: Credentials(
        accessKeyID: "AKIDEXAMPLE",
        secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        sessionToken: token.map { Secret(String($0.dropFirst("x-amz-security-token:".count))) },
        source: "the suite"
      ),
      region: "us-east-1",
      at: try #require(CalendarTime(iso8601: "2015-08-30T12:36:00Z"))
    )
    let expected = try text(name, "authz").split(separator: " ").joined()
    #expect(headers.last?.value.split(separator: " ").joined() == expected)
  }
}
