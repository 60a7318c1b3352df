package import Remote

extension Failure {
  /// Restates why a store could not be listed or read before the mount answers.
  ///
  /// - Parameters:
  ///   - error: As the store threw it.
  ///   - remote: The remote as the user wrote it.
  package init(_ error: StoreError, remote: String) {
    switch error {
    case .noSuchContainer(let name):
      // What has no scheme was taken for a path.
      let advice =
        remote.contains("://")
        ? "check the name of bucket and folder"
        : "check the path; a bucket is written s3://bucket/folder"
      self.init(.notFound, "no such remote: \(name); \(advice)")
    case .missingShards(let first, let missing, let total):
      self.init(
        .notFound,
        "\(missing) of \(total) shards are not there, the first is "
          + "\(PrintableName.text(first.utf8)); check the pattern"
      )
    case .noSuchObject(let key):
      self.init(
        .notFound,
        "object is gone: \(PrintableName.text(key.bytes)) of \(remote); mount again"
      )
    case .objectChanged(let key, let listed, let found):
      self.init(
        .internalError,
        "object changed meanwhile: \(PrintableName.text(key.bytes)) of \(remote) "
          + "(listed \(listed), found \(found)); mount again"
      )
    case .refused(let what, let code, let detail):
      self.init(
        .credentials,
        "refused: \(what)\(what.contains(remote) ? "" : " of \(remote)"): \(code) \(detail); "
          + "check credentials, region and policy"
      )
    case .credentials(let detail):
      let advice =
        detail.contains("--no-sign-request") ? "" : "; see --profile and --no-sign-request"
      self.init(.credentials, "no usable credentials: \(remote): \(detail)\(advice)")
    case .unreachable(let endpoint, let detail):
      // OpenSSL's words for a server that answered in plain HTTP.
      let advice =
        detail.contains("wrong version number")
        ? "it speaks no TLS there: is it http://?" : "check address and network"
      self.init(.unreachable, "unreachable: \(endpoint): \(detail); \(advice)")
    case .exhausted(let what, let attempts, let seconds, let detail):
      self.init(
        .unreachable,
        "no answer: \(what) of \(remote): \(detail) after \(attempts) attempts in "
          + "\(Self.tenths(seconds)) s; try again, or see --retry-timeout"
      )
    case .rangesUnsupported(let key):
      self.init(
        .internalError,
        "server gives no ranges: \(PrintableName.text(key.bytes)) of \(remote); "
          + "use a server that does"
      )
    case .badReply(let what, let detail):
      self.init(
        .unreachable,
        "not the reply of a store: \(what) of \(remote): \(detail); check the endpoint"
      )
    case .endlessListing(let what, let detail):
      self.init(.notFound, "no usable listing: \(what): \(detail); check the endpoint")
    case .invalid(let detail):
      let what = detail.contains(remote) ? "" : "invalid remote: \(remote): "
      self.init(.usage, what + detail)
    case .file(let path, let number):
      self.init(
        Self.code(ofErrno: number),
        "cannot read: \(path): \(SystemError.text(number)); check path and rights"
      )
    case .cancelled:
      self.init(.internalError, "stopped before it was mounted: \(remote)")
    }
  }

  private static func code(ofErrno number: Int32) -> ExitCode {
    switch number {
    case SystemError.noEntry, SystemError.notDirectory: .notFound
    case SystemError.accessDenied, SystemError.notPermitted: .credentials
    default: .internalError
    }
  }

  /// One decimal, without Foundation; a figure out of range is given as it is.
  private static func tenths(_ seconds: Double) -> String {
    guard seconds.isFinite, abs(seconds) < 1e12 else { return "\(seconds)" }
    return "\((seconds * 10).rounded() / 10)"
  }
}
