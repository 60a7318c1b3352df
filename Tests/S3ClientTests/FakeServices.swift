import Remote
import S3Client
import Synchronization

/// A world of services that a test answers for, in place of the network.
final class FakeServices: Sendable {
  private let log = Mutex<[CredentialRequest]>([])
  private let answer:
    @Sendable (CredentialRequest) throws(CredentialRequestFailure) -> CredentialReply

  init(
    _ answer: @escaping CredentialTransport = { (_) throws(CredentialRequestFailure) in
      throw .notReached("no network in a test")
    }
  ) {
    self.answer = answer
  }

  var requests: [CredentialRequest] { log.withLock { $0 } }

  var transport: CredentialTransport {
    { (request) throws(CredentialRequestFailure) in
      self.log.withLock { $0.append(request) }
      return try self.answer(request)
    }
  }

  /// A context without home, network or clock of its own.
  func context(
    _ environment: [String: String] = [:],
    now: Int64 = 1_800_000_000
  ) -> CredentialContext {
    let usual = [
      "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
      "HOME": "/nonexistent",
    ]
    var context = CredentialContext(environment: usual.merging(environment) { _, new in new })
    context.transport = transport
    context.clock = ServerClock { CalendarTime(seconds: now) }
    return context
  }
}

extension CredentialRequest {
  func header(_ name: String) -> String? {
    headers.first { $0.name == name }?.value
  }

  /// The fields of a form.
  var form: [String: String] {
    String(decoding: body, as: UTF8.self).split(separator: "&").reduce(into: [:]) { form, item in
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let value = PercentEncoding.decoded(
        parts.last.map { Array($0.utf8) } ?? [],
        plusIsSpace: true
      )
      form[String(parts[0])] = String(decoding: value ?? [], as: UTF8.self)
    }
  }

  /// Whose keys signed it.
  var signer: String? {
    header("authorization")?.split(separator: "=").dropFirst().first?.split(separator: "/").first
      .map { String($0) }
  }
}

extension CredentialReply {
  init(_ status: Int, _ text: String) {
    self.init(status: status, body: Array(text.utf8))
  }

  /// The reply of STS to AssumeRole; the key tells who asked for what.
  static func role(_ key: String, end: String = "2030-01-01T00:00:00Z") -> CredentialReply {
    CredentialReply(
      200,
      """
      <AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
      <AssumedRoleUser><Arn>arn:x</Arn><AssumedRoleId>y</AssumedRoleId></AssumedRoleUser>
      <Credentials><AccessKeyId>\(key)</AccessKeyId><SecretAccessKey>canary-secret</SecretAccessKey>
      <SessionToken>canary-token</SessionToken><Expiration>\(end)</Expiration></Credentials>
      </AssumeRoleResult></AssumeRoleResponse>
      """
    )
  }

  /// The reply of a container endpoint or an instance.
  static func session(_ key: String) -> CredentialReply {
    CredentialReply(
      200,
      """
      {"Code": "Success", "AccessKeyId": "\(key)", "SecretAccessKey": "canary-secret",
       "Token": "canary-token", "Expiration": "2030-01-01T00:00:00Z", "Type": "AWS-HMAC"}
      """
    )
  }
}
