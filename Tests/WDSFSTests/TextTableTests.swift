import Testing

@testable import WDSFS

@Suite struct TextTableTests {
  private var table: TextTable {
    var table = TextTable([
      .left("name"), .right("count", weight: 2), .right("of less account", weight: 1), .left("end"),
    ])
    table.add(["a", "12,800", "1", "x"])
    table.add(["bcdefgh", "7", "", ""])
    return table
  }

  @Test func columnsAreAsWideAsWhatStandsInThem() {
    #expect(
      table.text(indent: "  ") == """
          name      count  of less account  end
          a        12,800                1  x
          bcdefgh       7

        """
    )
  }

  @Test(
    "What tells least goes first where there is no room, and what must stay does",
    arguments: 1...60
  )
  func narrow(room: Int) {
    let titles = table.text(room: room).prefix { $0 != "\n" }
    let expected =
      switch room {
      case 37...: "name      count  of less account  end"
      case 20..<37: "name      count  end"
      default: "name     end"
      }
    #expect(titles == expected)
  }
}

@Suite struct TerminalTests {
  @Test func aLineIsBrokenForATerminalAndLeftWholeForAFile() {
    let words = "all shards are damaged beyond their first samples"
    let narrow = Terminal(isTerminal: true, hasColours: false, width: 30)
    #expect(
      narrow.line(words, indent: "  ") == """
          all shards are damaged
            beyond their first samples

        """
    )
    #expect(
      Terminal.wrapped("so 1.86 MB, and 100 % of all", width: 20, indent: "") == """
        so 1.86 MB, and
        100 % of all
        """
    )
    let file = Terminal(isTerminal: false, hasColours: false, width: 30)
    #expect(file.line(words, indent: "  ") == "  \(words)\n")
  }
}
