/// A line in pieces, some of which stand out on a terminal that knows how.
struct StyledText: Hashable, Sendable, ExpressibleByStringLiteral {
  enum Style: String, Sendable {
    case plain = ""
    case bold = "1"
    case faint = "2"
    case good = "32"
    case notable = "33"
    case bad = "31"
    case heading = "36"
  }

  private struct Piece: Hashable {
    var text: String
    let style: Style
  }

  private var pieces: [Piece] = []

  init(_ text: String, _ style: Style = .plain) {
    if !text.isEmpty { pieces = [Piece(text: text, style: style)] }
  }

  init(stringLiteral text: String) {
    self.init(text)
  }

  /// Columns it takes; what names bring in that is wider or narrower only shifts its own line.
  var width: Int { pieces.reduce(0) { $0 + $1.text.unicodeScalars.count } }

  static func + (left: StyledText, right: StyledText) -> StyledText {
    var sum = left
    sum.pieces += right.pieces
    return sum
  }

  static func += (left: inout StyledText, right: StyledText) {
    left = left + right
  }

  /// Filled up with spaces to a width; what is longer stays as it is.
  func padded(to width: Int, onLeft: Bool = false) -> StyledText {
    let space = StyledText(String(repeating: " ", count: max(0, width - self.width)))
    return onLeft ? space + self : self + space
  }

  /// Cut to a width.
  func cut(to width: Int) -> StyledText {
    var rest = max(0, width)
    var cut = StyledText("")
    for piece in pieces where rest > 0 {
      var text = String.UnicodeScalarView()
      for scalar in piece.text.unicodeScalars.prefix(rest) { text.append(scalar) }
      rest -= text.count
      cut.pieces.append(Piece(text: String(text), style: piece.style))
    }
    return cut
  }

  /// As it is written, without spaces at its end.
  func rendered(isColored: Bool) -> String {
    var text = ""
    for piece in pieces {
      let isPlain = !isColored || piece.style == .plain
      text += isPlain ? piece.text : "\u{1B}[\(piece.style.rawValue)m\(piece.text)\u{1B}[0m"
    }
    while text.last == " " { text.removeLast() }
    return text
  }
}
