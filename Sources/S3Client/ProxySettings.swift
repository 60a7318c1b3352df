import CCurl

/// The proxies of the environment, as the AWS tools read it.
///
/// `https_proxy` or `HTTPS_PROXY` for https, `http_proxy` or `HTTP_PROXY` for http, else `all_proxy`
/// or `ALL_PROXY`; not for the hosts of `no_proxy` or `NO_PROXY`. The lower-case name counts first.
/// A proxy's URL may hold a password: never log it.
package struct ProxySettings: Sendable {
  private let forHTTP: Secret?
  private let forHTTPS: Secret?

  /// Hosts, domains and networks between commas, or `*`.
  private let exceptions: String

  package init(environment: [String: String]) {
    func setting(_ names: String...) -> String? {
      names.lazy.compactMap { environment.filled($0) }.first
    }
    let forAll = setting("all_proxy", "ALL_PROXY")
    forHTTP = (setting("http_proxy", "HTTP_PROXY") ?? forAll).map { Secret($0) }
    forHTTPS = (setting("https_proxy", "HTTPS_PROXY") ?? forAll).map { Secret($0) }
    exceptions = setting("no_proxy", "NO_PROXY") ?? ""
  }

  /// Makes the handle use the proxy for its URL, and none that libcurl would find by itself.
  func apply(to handle: borrowing EasyHandle, url: String) {
    let proxy = url.hasPrefix("https:") ? forHTTPS : forHTTP
    handle.set(CURLOPT_PROXY, proxy?.revealed ?? "")
    handle.set(CURLOPT_NOPROXY, exceptions)
    // What the proxy says to CONNECT is no reply.
    handle.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
  }
}
