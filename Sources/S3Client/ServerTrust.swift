import CCurl
import Glibc
import Remote

/// Whom a TLS connection believes.
package enum ServerTrust: Hashable, Sendable {
  /// The authorities that this machine trusts.
  case system

  /// Those in a PEM file alone: `--ca-bundle`, `AWS_CA_BUNDLE`.
  case bundle(path: String)

  /// Anybody: `--no-verify-ssl`.
  case anybody

  /// Says at the start what libcurl would only say at the first connection.
  ///
  /// - Throws: `StoreError.invalid` for a bundle that cannot be read.
  func check() throws(StoreError) {
    guard case .bundle(let path) = self, access(path, R_OK) != 0 else { return }
    throw .invalid(
      "the CA bundle \(PrintableName.text(path.utf8)) cannot be read: \(errorText(errno)); "
        + "see --ca-bundle and AWS_CA_BUNDLE"
    )
  }
}

extension EasyHandle {
  /// TLS 1.2 or later, the peer and its name verified unless the user wants none of it.
  func set(_ trust: ServerTrust) {
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    switch trust {
    case .system: break
    case .bundle(let path): set(CURLOPT_CAINFO, path)
    case .anybody:
      set(CURLOPT_SSL_VERIFYPEER, 0)
      set(CURLOPT_SSL_VERIFYHOST, 0)
    }
  }
}
