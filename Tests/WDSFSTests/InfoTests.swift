import Remote
import TarIndex
import Testing

@testable import WDSFS

@Suite struct InfoTests {
  /// A tar of members with bodies of zeros, as plain as can be.
  private func index(_ members: [(name: String, bytes: Int)]) -> ShardIndex {
    var tar: [UInt8] = []
    for (name, bytes) in members {
      var header = [UInt8](repeating: 0, count: 512)
      func put(_ text: String, at offset: Int) {
        header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
      }
      let digits = String(bytes, radix: 8)
      put(name, at: 0)
      put(String(repeating: "0", count: 11 - digits.count) + digits, at: 124)
      put("        ", at: 148)
      put("0", at: 156)
      put("ustar", at: 257)
      let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
      put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", at: 148)
      tar += header + [UInt8](repeating: 0, count: (bytes + 511) / 512 * 512)
    }
    tar += [UInt8](repeating: 0, count: 1024)
    var scanner = TarScanner(objectBytes: Int64(tar.count))
    tar.withUnsafeBytes { scanner.feed($0, at: 0) }
    return scanner.snapshot()
  }

  private func object(_ key: String) -> ObjectInfo {
    ObjectInfo(key: ObjectKey(key), sizeBytes: 10_240, eTag: "")
  }

  @Test("Sizes are counted by powers of two, and drawn in one line")
  func histogram() {
    var sizes = SizeHistogram()
    #expect(sizes.range.isEmpty)
    for size: Int64 in [0, 1, 2, 3, 4, 7, 7, 7, 1 << 62, -5] { sizes.add(size) }
    #expect(sizes.counts[0] == 2)
    #expect(sizes.counts[1...3] == [1, 2, 4])
    #expect(sizes.least == 0)
    #expect(sizes.most == 1 << 62)
    #expect(sizes.range == 0..<64)
    #expect(sizes.bars(over: 0..<5) == "▅▃▅█ ")
    for size in [Int64.max, .max] { sizes.add(size) }
    #expect(sizes.bytes == .max)
    #expect(SizeHistogram.lowerBound(ofBucket: 11) == 1024)
    #expect(SizeHistogram.bucket(of: 1024) == 11)
  }

  @Test("Splits, fields and what is odd are told, whatever the order of the shards")
  func report() {
    let first = index([
      ("a.jpg", 3000), ("a.cls", 1), ("b.jpg", 1000), ("c.jpg", 500), ("c.cls", 2), ("README", 9),
      ("a.jpg", 10), ("a.cls", 1),
    ])
    let second = index([("d.jpg", 100), ("d.cls", 1)])
    var texts: Set<String> = []
    for order in [[0, 1], [1, 0]] {
      var survey = SplitSurvey()
      for number in order {
        survey.add(
          number == 0
            ? SplitSurvey(first, of: object("set/0.tar"))
            : SplitSurvey(second, of: object("set/1.tar"))
        )
      }
      let report = InfoReport([("train", survey)], failures: [], remote: "s3://b/set")
      #expect(report.samples == 5)
      #expect(report.splits[0].fields.map(\.name) == ["jpg", "cls"])
      #expect(report.splits[0].fields.map(\.samples) == [5, 4])
      #expect(
        report.odd == [
          "train: 1 sample lacks cls, first b in set/0.tar",
          "train: 1 sample with a key that an earlier one of the shard has, first a in set/0.tar",
          "train: 1 × no-extension, first README in set/0.tar",
        ]
      )
      let file = Terminal(isTerminal: false, hasColours: false, width: 80)
      texts.insert(InfoText(report: report, terminal: file).text)
    }
    #expect(texts.count == 1)
    let text = texts.first ?? ""
    #expect(text.contains("s3://b/set: 1 split, 2 shards, 5 samples, 20.5 kB"))
    #expect(text.contains("jpg             5  4.61 kB  922 B      10 B  3.00 kB"))
  }

  @Test("Names from the bucket cannot break out of the page")
  func page() {
    let wicked = index([("<script>alert('x').jpg\"&", 10)])
    let survey = SplitSurvey(wicked, of: object("set/<b>.tar"))
    let report = InfoReport([("<i>", survey)], failures: ["<u>"], remote: "s3://b/<a>")
    let html = InfoPage(report, []).html
    for word in ["<script", "<i>", "<u>", "<a>", "<b>"] {
      // Our own figures are bold.
      let rest = word == "<b>" ? html.replacing("<div><b>", with: "") : html
      #expect(!rest.contains(word), "\(word)")
    }
    #expect(!html.contains("http://") && !html.contains("https://"))
    #expect(InfoPage.escaped("a<&>\"'") == "a&lt;&amp;&gt;&quot;&#39;")
  }
}
