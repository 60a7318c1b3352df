/// `--samples 1281167` or `--samples train=1281167`: how many samples an epoch of a split has.
struct SampleTotals {
  private var bySplit: [String: Int] = [:]
  private var ofAll: Int?

  init(_ texts: [String]) throws(Failure) {
    for text in texts {
      let equals = text.lastIndex(of: "=")
      let digits = equals.map { text[text.index(after: $0)...] } ?? text[...]
      guard let number = Int(digits), number >= 0, number <= 1 << 46, digits.first != "+" else {
        throw Failure(
          .usage,
          "--samples: '\(text)' is no number of samples; write 50000 or val=50000"
        )
      }
      if let equals {
        bySplit[String(text[..<equals])] = number
      } else {
        ofAll = number
      }
    }
  }

  func count(ofSplit name: String) -> Int? { bySplit[name] ?? ofAll }

  /// Refuses a number for a split that is none of these.
  func check(against splits: [String]) throws(Failure) {
    let strangers = bySplit.keys.filter { !splits.contains($0) }.sorted()
    guard let stranger = strangers.first else { return }
    throw Failure(
      .usage,
      "--samples: there is no split \(stranger); there are: \(splits.joined(separator: ", "))"
    )
  }
}
