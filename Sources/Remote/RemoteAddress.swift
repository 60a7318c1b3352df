/// Where the shards are, as the user names it: a bucket, a pattern of URLs, a directory.
package enum RemoteAddress: Hashable, Sendable {
  /// A bucket and what every key below the remote begins with: empty, or with a slash at its end.
  case s3(bucket: String, prefix: [UInt8])

  /// The full URLs of a pattern, in its order, as written: not yet percent-encoded.
  case web(urls: [[UInt8]], text: String)

  /// A directory's path.
  case directory(path: String)

  /// Reads what was given as REMOTE.
  ///
  /// An `s3://` remote is literal: nothing is percent-decoded, `?` and `#` belong to the key.
  ///
  /// - Throws: `StoreError.invalid` with what is wrong and what would be right.
  package init(parsing text: String) throws(StoreError) {
    let shown = PrintableName.text(text.utf8)
    guard !text.utf8.contains(0) else { throw .invalid("the remote \(shown) holds a NUL byte") }
    if let rest = Self.after("s3://", text) {
      self = try Self.bucket(rest, shown: shown)
    } else if Self.after("http://", text) != nil || Self.after("https://", text) != nil {
      self = .web(urls: try Self.expandedURLs(text), text: text)
    } else if let path = Self.after("file://", text) {
      guard path.first == UInt8(ascii: "/") else {
        throw .invalid("the remote \(shown) names another host; write file:///path")
      }
      self = .directory(path: Self.trimmed(path))
    } else if text.utf8.first == UInt8(ascii: "/") {
      self = .directory(path: Self.trimmed(text.utf8[...]))
    } else {
      let isGoogle = Self.after("gs://", text) != nil
      throw .invalid(
        isGoogle
          ? "Google's buckets answer as s3://bucket with an HMAC key and "
            + "--endpoint-url https://storage.googleapis.com"
          : "the remote \(shown) cannot be read; write s3://bucket/prefix, "
            + "http(s)://host/name-{000..146}.tar, /path or file:///path"
      )
    }
  }

  /// What every key of the store begins with that lies below the remote.
  package var keyPrefix: [UInt8] {
    if case .s3(_, let prefix) = self { prefix } else { [] }
  }

  /// Whether the order of the listing is the user's own, so that nothing sorts it.
  package var isOrdered: Bool {
    if case .web = self { true } else { false }
  }

  /// How users call the remote in messages.
  package var displayName: String {
    switch self {
    case .s3(let bucket, let prefix):
      let folder = prefix.last == UInt8(ascii: "/") ? prefix.dropLast() : prefix[...]
      return "s3://\(bucket)" + (prefix.isEmpty ? "" : "/" + PrintableName.text(folder))
    case .web(_, let text):
      return PrintableName.text(text.utf8.prefix { $0 != UInt8(ascii: "?") })
    case .directory(let path):
      return PrintableName.text(path.utf8)
    }
  }

  /// What a dataset's only split is called where its shards lie at the top.
  ///
  /// The remote's last folder, else the bucket; nil for a pattern, whose names tell (design,
  /// section 2), and for the root directory.
  package var folderName: [UInt8]? {
    switch self {
    case .s3(let bucket, let prefix):
      // Of an access point's ARN, the name.
      prefix.split(separator: UInt8(ascii: "/")).last.map(Array.init)
        ?? Array(bucket.utf8.split(separator: UInt8(ascii: ":")).last ?? bucket.utf8[...])
    case .web: nil
    case .directory(let path):
      path.utf8.split(separator: UInt8(ascii: "/")).last.map(Array.init)
    }
  }
}

// MARK: - Reading

extension RemoteAddress {
  /// What follows a scheme, whose letters count in either case; bytes, as keys are.
  private static func after(_ scheme: String, _ text: String) -> Substring.UTF8View? {
    let head = text.utf8.prefix(scheme.utf8.count)
    let isEqual = head.elementsEqual(scheme.utf8) { left, right in
      let isUpper = left >= UInt8(ascii: "A") && left <= UInt8(ascii: "Z")
      return (isUpper ? left | 0x20 : left) == right
    }
    return isEqual ? text.utf8.dropFirst(scheme.utf8.count) : nil
  }

  private static func bucket(
    _ rest: Substring.UTF8View,
    shown: String
  ) throws(StoreError) -> RemoteAddress {
    var name = rest.prefix { $0 != UInt8(ascii: "/") }
    var bucket = String(Substring(name))
    // An access point's ARN may have a slash within: its other spelling has a colon there.
    if bucket.hasPrefix("arn:"), bucket.hasSuffix(":accesspoint") {
      let point = rest[name.endIndex...].dropFirst().prefix { $0 != UInt8(ascii: "/") }
      bucket += ":" + String(Substring(point))
      name = rest[..<point.endIndex]
    }
    guard !name.isEmpty else {
      throw .invalid("the remote \(shown) names no bucket; write s3://bucket/prefix")
    }
    // What S3 ever allowed, and what stores beside it allow: never a byte that would change the
    // URL or the host it is written into.
    let isHarmless = bucket.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: ":"):
        true
      default: false
      }
    }
    guard isHarmless, name.count <= 255, !name.elementsEqual(".".utf8),
      !name.elementsEqual("..".utf8)
    else {
      throw .invalid(
        "the remote \(shown): a bucket's name holds only letters, digits, dots and hyphens"
      )
    }
    var prefix = Array(rest.dropFirst(name.count + 1))
    guard prefix.count <= 1024 else {
      throw .invalid("the remote \(shown) is longer than the 1024 bytes a key may have")
    }
    if let last = prefix.last, last != UInt8(ascii: "/") { prefix.append(UInt8(ascii: "/")) }
    return .s3(bucket: bucket, prefix: prefix)
  }

  private static func expandedURLs(_ text: String) throws(StoreError) -> [[UInt8]] {
    var urls: [[UInt8]] = []
    for pattern in split(Array(text.utf8)) {
      let part = String(decoding: pattern, as: UTF8.self)
      guard after("http://", part) != nil || after("https://", part) != nil else {
        throw .invalid(
          "the remote's part \(PrintableName.text(pattern)) is no http(s) URL; "
            + "every part between :: must be one"
        )
      }
      let names = try BracePattern(pattern)
      guard names.nameCount <= BracePattern.maxNames - urls.count else {
        throw .invalid(
          "the remote's patterns stand for more than \(BracePattern.maxNames) names together"
        )
      }
      urls += names.names
    }
    return urls
  }

  /// The patterns between `::`; an IPv6 address within brackets keeps its colons.
  private static func split(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
    let colon = UInt8(ascii: ":")
    var parts: [ArraySlice<UInt8>] = []
    var start = 0
    var place = 0
    var isBracketed = false
    while place < text.count {
      if text[place] == UInt8(ascii: "[") { isBracketed = true }
      if text[place] == UInt8(ascii: "]") { isBracketed = false }
      if !isBracketed, text[place] == colon, place + 1 < text.count, text[place + 1] == colon {
        parts.append(text[start..<place])
        start = place + 2
        place += 1
      }
      place += 1
    }
    return parts + [text[start...]]
  }

  /// The path without the slashes at its end; the root stays.
  private static func trimmed(_ path: Substring.UTF8View) -> String {
    let slash = UInt8(ascii: "/")
    var path = path
    while path.count > 1, path.last == slash { path.removeLast() }
    return String(Substring(path))
  }
}
