import S3Client
import Testing

/// The examples of "Signature Calculations for the Authorization Header: Transferring Payload in a
/// Single Chunk" in the Amazon S3 API reference.
@Suite struct RequestSignatureTests {
  private let credentials = Credentials(
    accessKeyID: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    sessionToken: nil,
    source: "the documentation"
  )

  private func signature(of input: RequestSignature.Input) throws -> String {
    let time = try #require(CalendarTime(iso8601: "2013-05-24T00:00:00Z"))
    let headers = RequestSignature().headers(
      for: input,
      credentials: credentials,
      region: "us-east-1",
      at: time
    )
    return try #require(headers.last?.value)
  }

  @Test("the documentation's GET with a Range header is signed as there")
  func getObject() throws {
    var input = RequestSignature.Input(host: "examplebucket.s3.amazonaws.com", path: "/test.txt")
    input.headers = [("range", "bytes=0-9")]
    #expect(
      try signature(of: input)
        == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )
  }

  @Test("the documentation's listing is signed as there")
  func list() throws {
    var input = RequestSignature.Input(host: "examplebucket.s3.amazonaws.com", path: "/")
    input.query = "max-keys=2&prefix=J"
    #expect(
      try signature(of: input).hasSuffix(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
      )
    )
  }

  @Test("the documentation's query of a name without a value is signed as there")
  func lifecycle() throws {
    var input = RequestSignature.Input(host: "examplebucket.s3.amazonaws.com", path: "/")
    input.query = "lifecycle="
    #expect(
      try signature(of: input).hasSuffix(
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
      )
    )
  }

  @Test("the key of the day is made anew for another secret's owner and another day")
  func dayKey() throws {
    let signature = RequestSignature()
    let input = RequestSignature.Input(host: "h", path: "/")
    func last(_ identifier: String, _ secret: String, _ seconds: Int64) -> String? {
      let credentials = Credentials(
        accessKeyID: identifier,
        secretAccessKey: Secret(secret),
        sessionToken: nil,
        source: ""
      )
      return signature.headers(
        for: input,
        credentials: credentials,
        region: "r",
        at: CalendarTime(seconds: seconds)
      ).last?.value
    }
    let first = last("a", "1", 0)
    #expect(first == last("a", "1", 0))
    #expect(first != last("b", "2", 0))
    #expect(first != last("a", "1", 86_400))
    #expect(first == last("a", "1", 0))
  }
}
