package import Remote

/// One page of ListObjectsV2.
package struct ListPage: Sendable {
  /// docs/reliability.md, S27.
  static let maxBytes = 8 * 1024 * 1024

  /// S3's own limit (docs/reliability.md, X5).
  static let maxKeyBytes = 1024

  package private(set) var objects: [ObjectInfo] = []

  /// Entries left out: no usable key or size.
  package private(set) var oddEntries = 0
  package private(set) var isTruncated = false
  package private(set) var nextToken: String?

  private struct Entry {
    var key: [UInt8] = []
    var size: [UInt8] = []
    var eTag: [UInt8] = []
    var modified: [UInt8] = []

    /// A text of it was too long to be anything.
    var isOdd = false

    mutating func take(_ text: [UInt8], of name: String) {
      switch name {
      case "Key": key += text
      case "Size": size += text
      case "ETag": eTag += text
      case "LastModified": modified += text
      default: break
      }
    }
  }

  /// Makes a page of what it would say; a token means that more follows.
  package init(objects: [ObjectInfo], nextToken: String?) {
    self.objects = objects
    self.nextToken = nextToken
    isTruncated = nextToken != nil
  }

  /// Reads a reply's body.
  ///
  /// - Throws: What is wrong, for anything that is not one whole `ListBucketResult`.
  package init(_ body: [UInt8]) throws(XMLPullParser.Malformed) {
    var parser = XMLPullParser(body)
    var path: [String] = []
    var entries: [Entry] = []
    var entry = Entry()
    var isEncoded = false
    var truncated: [UInt8] = []
    var token: [UInt8] = []
    while let event = try parser.next() {
      switch event {
      case .start(let name):
        path.append(name)
        if path.count == 1, name != "ListBucketResult" {
          throw .init(detail: "the root element is \(name)", offset: 0)
        }
      case .end(let name):
        if path.count == 2, name == "Contents" {
          entries.append(entry)
          entry = Entry()
        }
        path.removeLast()
      case .text(let text):
        if path.count == 3, path[1] == "Contents" {
          entry.take(text, of: path[2])
        } else if path.count == 2 {
          switch path[1] {
          case "EncodingType": isEncoded = text == Array("url".utf8)
          case "IsTruncated": truncated += text
          case "NextContinuationToken": token += text
          default: break
          }
        }
      case .longText:
        guard path.count >= 3, path[1] == "Contents" else {
          throw .init(detail: "\(path.last ?? "the root") is too long", offset: 0)
        }
        entry.isOdd = true
      }
    }
    isTruncated = truncated == Array("true".utf8)
    nextToken = token.isEmpty ? nil : String(decoding: token, as: UTF8.self)
    for entry in entries {
      if let object = Self.object(entry, isEncoded: isEncoded) {
        objects.append(object)
      } else {
        oddEntries += 1
      }
    }
  }

  private static func object(_ entry: Entry, isEncoded: Bool) -> ObjectInfo? {
    let key =
      isEncoded ? PercentEncoding.decoded(entry.key, plusIsSpace: true) : .some(entry.key)
    guard !entry.isOdd, let key, !key.isEmpty, key.count <= maxKeyBytes,
      let size = Int64(String(decoding: entry.size, as: UTF8.self)), size >= 0,
      size <= 1 << 53
    else { return nil }
    return ObjectInfo(
      key: ObjectKey(key),
      sizeBytes: size,
      eTag: EntityTag(String(decoding: entry.eTag, as: UTF8.self)).text,
      modifiedSeconds: CalendarTime(iso8601: String(decoding: entry.modified, as: UTF8.self))?
        .seconds ?? 0
    )
  }
}

/// The error that S3 describes in a reply's body.
struct ErrorBody {
  private(set) var code = ""
  private(set) var message = ""
  private(set) var region: String?

  /// Takes what can be read; a body that is no such XML gives an empty code.
  init(_ body: [UInt8]) {
    var parser = XMLPullParser(body)
    var path: [String] = []
    var texts: [String: [UInt8]] = [:]
    do throws(XMLPullParser.Malformed) {
      while let event = try parser.next() {
        switch event {
        case .start(let name): path.append(name)
        case .end: path.removeLast()
        case .text(let text):
          if path.count == 2, path[0] == "Error" { texts[path[1], default: []] += text }
        case .longText: return
        }
      }
    } catch {
      return
    }
    code = PrintableName.text(texts["Code"] ?? [])
    message = PrintableName.text(texts["Message"] ?? [])
    region = texts["Region"].map { String(decoding: $0, as: UTF8.self) }
  }
}
