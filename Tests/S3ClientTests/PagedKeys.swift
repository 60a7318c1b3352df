import Remote
import S3Client

/// Keys as a store lists them, a page at a time, with the habits that stores have.
struct PagedKeys: Sendable {
  enum Habit: Sendable {
    case sound

    /// As some small servers: start-after is not known.
    case ignoresStartAfter

    /// As S3's directory buckets: no order.
    case unsorted

    /// Leaves out the first key behind start-after.
    case skipsOne
  }

  let keys: [String]

  /// The same, for looking up quickly.
  private let objectKeys: [ObjectKey]
  var habit = Habit.sound
  var pageCount = 1000

  init(_ keys: [String], habit: Habit = .sound, pageCount: Int = 1000) {
    let sorted = keys.sorted { ObjectKey($0) < ObjectKey($1) }
    var keys = sorted
    if case .unsorted = habit {
      keys = sorted.enumerated().sorted { ($0.0 * 7919) % 1009 < ($1.0 * 7919) % 1009 }
        .map(\.element)
    }
    self.keys = keys
    objectKeys = keys.map { ObjectKey($0) }
    self.habit = habit
    self.pageCount = pageCount
  }

  /// A page; its token is the place of the next one's first key.
  func page(token: String?, after: String?) -> ListPage {
    var start = token.flatMap { Int($0) } ?? 0
    if token == nil, let after, habit != .ignoresStartAfter {
      start = place(after: ObjectKey(after))
      if habit == .skipsOne { start = min(start + 1, keys.count) }
    }
    let end = min(start + pageCount, keys.count)
    return ListPage(
      objects: objectKeys[start..<end].map { ObjectInfo(key: $0, sizeBytes: 1, eTag: "\"e\"") },
      nextToken: end < keys.count ? String(end) : nil
    )
  }

  /// The body of a reply with it.
  private func body(of page: ListPage) -> [UInt8] {
    var text = "<ListBucketResult><IsTruncated>\(page.isTruncated)</IsTruncated>"
    if let token = page.nextToken {
      text += "<NextContinuationToken>\(token)</NextContinuationToken>"
    }
    for object in page.objects {
      text += "<Contents><Key>\(object.key)</Key><Size>1</Size></Contents>"
    }
    return Array((text + "</ListBucketResult>").utf8)
  }

  /// The place of the first key behind one; by halving, which in a store without order finds any.
  private func place(after key: ObjectKey) -> Int {
    var range = 0..<keys.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      range =
        key < objectKeys[middle]
        ? range.lowerBound..<middle : (middle + 1)..<range.upperBound
    }
    return range.lowerBound
  }

  /// The answer to a request for a page.
  func reply(to request: ScriptedServer.Request) -> ScriptedServer.Action {
    let query = request.path.split(separator: "?").last ?? ""
    var values: [Substring: String] = [:]
    for item in query.split(separator: "&") {
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let value = PercentEncoding.decoded(parts[1].utf8, plusIsSpace: false)
      else { continue }
      values[parts[0]] = String(decoding: value, as: UTF8.self)
    }
    let page = page(token: values["continuation-token"], after: values["start-after"])
    return .reply("200 OK", body: body(of: page))
  }

  /// `prefix` and a number of so many digits, from 0.
  static func numbered(_ prefix: String, _ count: Int, digits: Int = 6) -> [String] {
    (0..<count).map { number in
      let text = String(number)
      return prefix + String(repeating: "0", count: max(0, digits - text.count)) + text + ".tar"
    }
  }
}
