package import Remote

/// Which pages of a long listing to ask for next, several at a time.
///
/// Pages of one listing follow each other by tokens, so a store of 200,000 keys would be walked for
/// 200 round trips. Instead the names on a page tell how the next ones will likely look
/// (`ListBoundaries`), and the keys are listed in sections `(after, until]`, each by start-after and
/// then by its own tokens. A guess that is wrong costs a request, never a key: every section is read
/// on until it meets the next one's first key, and where a store does not honour start-after, or
/// does not sort, the plan is `isContradicted` and what it has found is of no use.
///
/// Pure: knows neither store nor thread.
package struct ListPlan {
  /// A page to ask for.
  package struct Question: Hashable, Sendable {
    /// To hand in the answer under.
    package let section: Int

    /// Of the page before, in this section.
    package let token: String?

    /// Where the section begins; counts only without a token.
    package let after: [UInt8]
  }

  private struct Section {
    enum State {
      case waiting
      case asked
      case ended
    }

    let number: Int
    let after: [UInt8]

    /// The last key that may belong here; nil: as far as the listing goes.
    var until: [UInt8]?
    var pages: [[ObjectInfo]] = []
    var token: String?
    var state = State.waiting
    var firstKey: ObjectKey?
    var lastKey: ObjectKey?
    var emptyPages = 0

    /// The first key beyond `until`; nil where the listing ends before it.
    var next: ObjectKey?
  }

  /// Sections in the order of their keys.
  private var sections: [Section]
  private let maxAsked: Int
  private var sectionCount = 1

  /// Sections in which nothing was found.
  private var missCount = 0
  package private(set) var oddEntries = 0
  package private(set) var keyCount = 0
  package private(set) var isContradicted = false

  /// Begins with the first page of a listing, which is not its last.
  ///
  /// - Parameters:
  ///   - page: As the store gave it.
  ///   - maxAsked: How many pages are asked for at once; sections are made while fewer wait.
  package init(_ page: ListPage, maxAsked: Int) {
    self.maxAsked = maxAsked
    sections = [Section(number: 0, after: [])]
    sections[0].state = .asked
    take(page, for: 0)
  }

  /// The next page to ask for; nil while none is wanted.
  package mutating func nextQuestion() -> Question? {
    guard !isContradicted, sections.count(where: { $0.state == .asked }) < maxAsked,
      let place = sections.firstIndex(where: { $0.state == .waiting })
    else { return nil }
    sections[place].state = .asked
    let section = sections[place]
    return Question(section: section.number, token: section.token, after: section.after)
  }

  /// Whether there is anything to ask for at once.
  package var isSplit: Bool { sections.count > 1 && !isContradicted }

  /// Whether every section has been read to its end.
  package var isComplete: Bool { sections.allSatisfy { $0.state == .ended } }

  /// The objects, page by page, ascending; to be used where `isComplete` and not `isContradicted`.
  package var pages: [[ObjectInfo]] { sections.flatMap(\.pages) }

  /// Takes the answer to a question.
  package mutating func take(_ page: ListPage, for number: Int) {
    guard let place = sections.firstIndex(where: { $0.number == number }) else { return }
    oddEntries += page.oddEntries
    guard isAscending(page.objects, after: sections[place]) else {
      isContradicted = true
      return
    }
    let until = sections[place].until.map { ObjectKey($0) }
    let kept = until.map { until in page.objects.prefix { $0.key <= until } } ?? page.objects[...]
    if kept.isEmpty {
      missCount += 1
    } else {
      sections[place].pages.append(Array(kept))
      sections[place].lastKey = kept.last?.key
      if sections[place].firstKey == nil { sections[place].firstKey = kept.first?.key }
      keyCount += kept.count
    }
    guard page.isTruncated, kept.count == page.objects.count else {
      sections[place].state = .ended
      sections[place].next = page.objects.dropFirst(kept.count).first?.key
      closeEmpty(behind: place)
      if isComplete { checkSeams() }
      return
    }
    // No way on, or one that leads round in a circle: the plain walk will say so.
    sections[place].emptyPages = page.objects.isEmpty ? sections[place].emptyPages + 1 : 0
    guard let token = page.nextToken, token != sections[place].token,
      sections[place].emptyPages < Self.maxEmptyPages
    else {
      isContradicted = true
      return
    }
    sections[place].token = token
    sections[place].state = .waiting
    split(place, by: page.objects)
  }

  private static let maxEmptyPages = 100

  /// Names that guesses do not fit are walked rather than guessed at for ever.
  private static let maxMisses = 64

  private func isAscending(_ objects: [ObjectInfo], after section: Section) -> Bool {
    var last = section.lastKey ?? ObjectKey(section.after)
    for object in objects {
      guard last < object.key else { return false }
      last = object.key
    }
    return true
  }

  /// Cuts off what lies beyond the guessed boundaries, while somebody could ask for it.
  private mutating func split(_ place: Int, by objects: [ObjectInfo]) {
    guard sections.count(where: { $0.state == .waiting }) < maxAsked,
      missCount < Self.maxMisses + sections.count / 2
    else { return }
    let boundaries = ListBoundaries.guessed(from: objects, until: sections[place].until)
    guard let first = boundaries.first else { return }
    let end = sections[place].until
    var made: [Section] = []
    for (index, boundary) in boundaries.enumerated() {
      var section = Section(number: sectionCount, after: boundary)
      section.until = index + 1 < boundaries.count ? boundaries[index + 1] : end
      sectionCount += 1
      made.append(section)
    }
    sections[place].until = first
    sections.insert(contentsOf: made, at: place + 1)
  }

  /// Between a section's end and the next key there is nothing: sections that lie there whole, and
  /// are not asked for yet, need no request.
  private mutating func closeEmpty(behind place: Int) {
    let next = sections[place].next
    for place in sections.indices.dropFirst(place + 1) {
      guard sections[place].state == .waiting, sections[place].token == nil else { continue }
      if let next {
        guard let until = sections[place].until, ObjectKey(until) < next else { return }
      }
      sections[place].state = .ended
      sections[place].next = next
    }
  }

  /// Each section was read until it met a key beyond it: that must be the first one of those behind.
  private mutating func checkSeams() {
    var firstBehind: ObjectKey?
    for section in sections.reversed() {
      if section.next != firstBehind { isContradicted = true }
      firstBehind = section.firstKey ?? firstBehind
    }
  }
}
