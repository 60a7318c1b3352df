import Remote
import S3Client
import TestSupport
import Testing

/// Checksums that a store sends with a whole object (docs/reliability.md, S16).
@Suite(.timeLimit(.minutes(10))) struct ContentChecksumTests {
  @Test("each CRC has the check value of its definition, in pieces of any size")
  func checkValues() {
    let text = Array("123456789".utf8)
    for (sum, check) in [
      (CyclicChecksum.crc32, 0xCBF4_3926 as UInt64), (.crc32C, 0xE306_9283),
      (.crc64NVME, 0xAE8B_1486_0A79_9888),
    ] {
      for cut in 0...text.count {
        var sum = sum
        text[..<cut].withUnsafeBytes { sum.update($0) }
        text[cut...].withUnsafeBytes { sum.update($0) }
        #expect(sum.bytes.reduce(0) { $0 << 8 | UInt64($1) } == check)
      }
    }
  }

  private let object = noise(20_000)
  private let info = ObjectInfo(key: ObjectKey("x.tar"), sizeBytes: 20_000, eTag: "\"one\"")

  private func fetch(
    _ header: String,
    range: Range<Int64> = 0..<20_000
  ) throws -> (Result<[UInt8], StoreError>, [ScriptedServer.Request]) {
    let server = try ScriptedServer { [object] _, request in
      guard request.range == nil else { return [.part(of: object, request)] }
      return [.reply("200 OK", ["ETag: \"one\"", header], body: object)]
    }
    let store = try FaultTests.store(server)
    defer { store.shutDown() }
    do throws(StoreError) {
      return (.success(try store.bytes(range, of: info)), server.requests)
    } catch {
      return (.failure(error), server.requests)
    }
  }

  @Test(
    "a whole object is held to the checksum that its store says",
    arguments: [
      // By Python's zlib, hashlib, and a CRC of its own.
      ("x-amz-checksum-crc32: CRC32", "x-amz-checksum-crc32: AAAAAA=="),
      ("x-amz-checksum-crc32c: CRC32C", "x-goog-hash: crc32c=AAAAAA==,md5=x"),
      ("x-goog-hash: md5=x, crc32c=CRC32C", "x-amz-checksum-crc64nvme: AAAAAAAAAAA="),
      ("x-amz-checksum-sha1: SHA1", "x-amz-checksum-sha1: AAAA"),
      ("x-amz-checksum-sha256: SHA256", "x-amz-checksum-sha256: AAAA"),
      ("x-amz-checksum-crc64nvme: CRC64NVME", "x-amz-checksum-crc32: AAAAAQ=="),
    ]
  )
  func whole(right: String, wrong: String) throws {
    let known = [
      "CRC32C": "ZNkBEw==", "CRC32": "qBOLGg==", "SHA1": "JVESUAIgxSgGqp0pY1IuIxjeHVQ=",
      "SHA256": "5eO16LIfRVxHIacmBgZKMM5uRdrmjoUIh/Hbb290gpE=",
      "CRC64NVME": "Nl87NPNd8ks=",
    ]
    let name = String(right.split { ": =".contains($0) }.last ?? "")
    let header = right.replacing(name, with: known[name] ?? "")
    let (good, requests) = try fetch(header)
    let isEqual = try good.get() == object
    #expect(isEqual)
    #expect(requests.first?.headers["x-amz-checksum-mode"] == "ENABLED")
    #expect(requests.first?.headers["authorization"]?.contains("x-amz-checksum-mode") ?? false)
    let (bad, _) = try fetch(wrong)
    guard case .failure(.badReply) = bad else {
      Issue.record("taken with \(wrong)")
      return
    }
  }

  @Test("checksums of an upload's parts, and what a part of an object has, are left alone")
  func leftAlone() throws {
    for header in ["x-amz-checksum-crc32: AAAAAA==-3", "x-amz-checksum-md4: x"] {
      #expect(try fetch(header).0.get().count == 20_000)
    }
    let (part, requests) = try fetch("x-amz-checksum-crc32: AAAAAA==", range: 10..<20)
    #expect(try part.get() == Array(object[10..<20]))
    #expect(requests.first?.headers["x-amz-checksum-mode"] == nil)
  }
}
