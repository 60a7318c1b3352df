/// One `--split` of the command line: `NAME=GLOB`, or the name of a split to keep.
package enum SplitOption: Hashable, Sendable {
  /// The split holds every shard whose key below the remote fits; repeated, the globs add up.
  case defined(SplitName, KeyGlob)

  /// Just this split of those that the names give.
  case kept(SplitName)

  /// Reads the option's value; the first `=` ends the name.
  package init(parsing text: String) throws(DatasetError) {
    guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) else {
      self = .kept(try SplitName(given: text))
      return
    }
    let name = try SplitName(given: String(text[..<equals]))
    do throws(StoreError) {
      self = .defined(name, try KeyGlob(String(text[text.utf8.index(after: equals)...])))
    } catch {
      throw .store(error)
    }
  }

  package var name: SplitName {
    switch self {
    case .defined(let name, _), .kept(let name): name
    }
  }
}
