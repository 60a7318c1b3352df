/// A table for a terminal: columns as wide as they need to be, two spaces between them.
///
/// Where they do not all fit, those go that tell least.
struct TextTable {
  struct Column {
    fileprivate enum Side {
      case left
      case right
    }

    fileprivate let title: String
    fileprivate let side: Side

    /// The least goes first where there is no room; what has none stays.
    fileprivate let weight: Int?

    static func left(_ title: String, weight: Int? = nil) -> Column {
      Column(title: title, side: .left, weight: weight)
    }

    static func right(_ title: String, weight: Int? = nil) -> Column {
      Column(title: title, side: .right, weight: weight)
    }
  }

  private static let gap = 2

  private let columns: [Column]
  private var rows: [[String]]

  init(_ columns: [Column]) {
    self.columns = columns
    rows = [columns.map(\.title)]
  }

  mutating func add(_ row: [String]) {
    rows.append(row)
  }

  /// The lines, each with its end and without spaces at it.
  ///
  /// - Parameters:
  ///   - indent: Of each line.
  ///   - room: Columns that there are; nil where the lines may be as long as they like.
  /// - Returns: The titles, then the rows in the order in which they came.
  func text(indent: String = "", room: Int? = nil) -> String {
    let widths = columns.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    let shown = shownColumns(widths, room: room.map { $0 - indent.count })
    var text = ""
    for row in rows {
      var line = indent
      for column in shown {
        let space = String(repeating: " ", count: widths[column] - row[column].count)
        line += columns[column].side == .left ? row[column] + space : space + row[column]
        line += String(repeating: " ", count: Self.gap)
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }

  private func shownColumns(_ widths: [Int], room: Int?) -> [Int] {
    var shown = Array(columns.indices)
    guard let room else { return shown }
    var dispensable = shown.filter { columns[$0].weight != nil }
      .sorted { (columns[$0].weight ?? 0) > (columns[$1].weight ?? 0) }
    while shown.map({ widths[$0] + Self.gap }).reduce(-Self.gap, +) > room,
      let least = dispensable.popLast()
    {
      shown.removeAll { $0 == least }
    }
    return shown
  }
}
