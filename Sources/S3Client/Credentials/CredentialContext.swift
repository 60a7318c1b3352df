import Glibc
package import Logging
import Remote

/// What the sources of credentials work with: the user's words and the world around them.
package struct CredentialContext: Sendable {
  /// `--profile`.
  package var profile: String?

  /// `--region`.
  package var region: String?

  /// Stands in for the process's own environment.
  package var environment: [String: String]
  package var transport: CredentialTransport = CredentialRequest.send
  package var clock = ServerClock()

  /// Whom TLS connections believe; `--no-verify-ssl` is for the store, never for these.
  package var trust = ServerTrust.system
  package var logger = Logger(label: "wdsfs") { _ in SwiftLogNoOpLogHandler() }

  package init(environment: [String: String]) {
    self.environment = environment
  }

  /// The sources in the order of the AWS tools.
  ///
  /// A profile named by option counts before the environment's keys, one named by `AWS_PROFILE`
  /// after them.
  package var sources: [any CredentialSource] {
    (profile == nil ? [EnvironmentSource(environment)] : [])
      + [ProfileSource(self), ContainerSource(self), InstanceSource(self)]
  }

  /// Sends a request, again after a failure that may pass, within a time.
  ///
  /// - Parameters:
  ///   - request: Its own time-out is made shorter by what is left.
  ///   - attempts: At most.
  ///   - limit: For all of them together.
  /// - Returns: The first reply that is not of a sick server, else the last one.
  /// - Throws: The last failure.
  func send(
    _ request: CredentialRequest,
    attempts: Int,
    within limit: Duration
  ) throws(CredentialRequestFailure) -> CredentialReply {
    let deadline = ContinuousClock.now + limit
    var number = 0
    while true {
      number += 1
      var request = request
      request.timeout = min(request.timeout, max(.milliseconds(1), deadline - .now))
      request.trust = trust == .anybody ? .system : trust
      if request.mayUseProxy { request.proxies = ProxySettings(environment: environment) }
      let pause = Self.pause * number
      let isLast = number >= attempts || .now + pause >= deadline
      do throws(CredentialRequestFailure) {
        let reply = try transport(request)
        if isLast || reply.status < 500 && reply.status != 429 { return reply }
      } catch {
        if isLast || .now + pause >= deadline { throw error }
      }
      poll(nil, 0, Int32(pause.wholeMilliseconds))
    }
  }

  private static let pause: Duration = .milliseconds(100)
}
