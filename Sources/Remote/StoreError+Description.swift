extension StoreError: CustomStringConvertible {
  /// One sentence: what was attempted, on what, what happened, what helps.
  package var description: String {
    switch self {
    case .noSuchContainer(let name):
      "\(name) does not exist; check its name, and for a bucket the endpoint and region too"
    case .missingShards(let first, let missing, let total):
      "\(missing) of the pattern's \(total) \(total == 1 ? "shard is" : "shards are") not there, "
        + "first \(first); correct the pattern"
    case .noSuchObject(let key):
      "\(key) was listed and is gone; put it back, or mount again to see the remote as it is now"
    case .objectChanged(let key, let listed, let found):
      "\(key) is no longer the object that was listed (\(listed), now \(found)); "
        + "mount again to see the new one"
    case .refused(let what, let code, let detail):
      "\(what) was refused: \(code)" + (detail.isEmpty ? "" : " (\(detail))")
        + "; check what these credentials may do"
    case .credentials(let sentence), .invalid(let sentence):
      sentence
    case .unreachable(let endpoint, let detail):
      "cannot reach \(endpoint): \(detail); check the address and the network"
    case .exhausted(let what, let attempts, let seconds, let detail):
      "\(what) failed after \(attempts) \(attempts == 1 ? "attempt" : "attempts") in "
        + "\(Self.rounded(seconds)) s, at last with: \(detail)"
    case .rangesUnsupported(let key):
      "the server gives no parts of \(key), and the wanted part lies too far in to be cut out"
    case .badReply(let what, let detail):
      "\(what) got a reply that makes no sense: \(detail)"
    case .endlessListing(let what, let detail):
      "\(what) does not end: \(detail)"
    case .file(let path, let code):
      "cannot read \(path): \(errorText(code))"
    case .cancelled:
      "the request was cancelled"
    }
  }

  /// One decimal place, without Foundation's formats.
  private static func rounded(_ seconds: Double) -> String {
    guard seconds.isFinite, abs(seconds) < 1e12 else { return "?" }
    return "\((seconds * 10).rounded() / 10)"
  }
}
