/// The same report as a page of its own: no file, script or address beside it is needed.
struct InfoPage {
  private let report: InfoReport
  private let thumbnails: [Thumbnails.Picture]

  init(_ report: InfoReport, _ thumbnails: [Thumbnails.Picture]) {
    self.report = report
    self.thumbnails = thumbnails
  }

  var html: String {
    var page = """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(Self.escaped(report.remote))</title>
      <style>
      :root { color-scheme: light dark; --bar: #2a6fdb; --line: #8884; }
      body { font: 15px/1.5 system-ui, sans-serif; max-width: 66em; margin: 2em auto; padding: 0 1em; }
      h1 { font-size: 1.4em; overflow-wrap: anywhere; } h2 { font-size: 1.15em; margin-top: 2em; }
      .table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; } td, th { padding: .25em .7em; text-align: right;
      border-bottom: 1px solid var(--line); white-space: nowrap; } td:first-child, th:first-child { text-align: left; }
      .figures { display: flex; flex-wrap: wrap; gap: 2em; margin: 1em 0; } .figures b { display: block; font-size: 1.5em; }
      .plots { display: flex; flex-wrap: wrap; gap: 1em 1.5em; margin-top: 1em; } figure { margin: 0; }
      figcaption { font-size: .85em; overflow-wrap: anywhere; max-width: 15em; }
      svg rect { fill: var(--bar); } svg text { fill: currentColor; font-size: 10px; }
      .pictures { display: flex; flex-wrap: wrap; gap: 1em; } .pictures img { height: 128px; max-width: 20em;
      object-fit: contain; image-rendering: auto; background: var(--line); }
      .odd li { overflow-wrap: anywhere; }
      </style></head><body>
      <h1>\(Self.escaped(report.remote))</h1>
      <div class="figures">

      """
    for (number, what) in [
      (NumberText.grouped(report.splits.count), "splits"),
      (NumberText.grouped(report.shards), "shards"),
      (NumberText.grouped(report.samples), "samples"), (SizeText.bytes(report.bytes), "in all"),
    ] {
      page += "<div><b>\(number)</b>\(what)</div>\n"
    }
    page += "</div>\n"
    if !report.odd.isEmpty {
      page += "<h2>Odd things</h2>\n<ul class=\"odd\">\n"
      for line in report.odd { page += "<li>\(Self.escaped(line))</li>\n" }
      page += "</ul>\n"
    }
    for split in report.splits { page += Self.section(split) }
    if !thumbnails.isEmpty {
      page += "<h2>Some samples</h2>\n<div class=\"pictures\">\n"
      for picture in thumbnails {
        page += "<figure><img alt=\"\" src=\"data:\(picture.mediaType);base64,\(picture.base64)\">"
        page += "<figcaption>\(Self.escaped(picture.caption))</figcaption></figure>\n"
      }
      page += "</div>\n"
    }
    return page + "</body></html>\n"
  }

  private static func section(_ split: InfoReport.Split) -> String {
    var text =
      "<h2>\(escaped(split.name))</h2>\n<p>\(NumberText.counted(split.shards, "shard")) of "
    text += "\(SizeText.bytes(split.shardSizes.mean)) on average, "
    text += "\(NumberText.counted(split.samples, "sample")), \(SizeText.bytes(split.bytes))</p>\n"
    text +=
      "<div class=\"table\"><table><tr><th>field</th><th>samples</th><th>total</th><th>mean</th>"
    text += "<th>smallest</th><th>largest</th></tr>\n"
    for field in split.fields {
      text += "<tr><td>\(escaped(field.name))</td><td>\(NumberText.grouped(field.samples))</td>"
      let sizes = [field.sizes.bytes, field.sizes.mean, field.sizes.least, field.sizes.most]
      for size in sizes { text += "<td>\(SizeText.bytes(size))</td>" }
      text += "</tr>\n"
    }
    text += "</table></div>\n<div class=\"plots\">\n"
    text += plot(split.sampleSizes.shown, "size of a sample")
    text += plot(split.shardSizes.shown, "size of a shard")
    for field in split.fields.prefix(12) {
      text += plot(field.sizes.shown, "size of \(field.name)")
    }
    return text + "</div>\n"
  }

  /// Of a plot, unless it has more bars than fit; a few bars are not made broader than they are high.
  private static let plotWidth = 150
  private static let barWidths = 18...50
  private static let barHeight = 80

  /// A bar for each power of two, with the smallest and the largest size below.
  private static func plot(_ sizes: SizeHistogram, _ title: String) -> String {
    let buckets = sizes.range
    guard !buckets.isEmpty else { return "" }
    let barWidth = min(max(plotWidth / buckets.count, barWidths.lowerBound), barWidths.upperBound)
    let drawnWidth = buckets.count * barWidth
    let width = max(drawnWidth, plotWidth)
    let highest = buckets.map { sizes.counts[$0] }.max() ?? 1
    var text = "<figure><svg width=\"\(width)\" height=\"\(barHeight + 16)\" role=\"img\">"
    for (place, bucket) in buckets.enumerated() where sizes.counts[bucket] > 0 {
      let height = max(1, Int(Double(sizes.counts[bucket]) / Double(highest) * Double(barHeight)))
      let from = SizeText.bytes(SizeHistogram.lowerBound(ofBucket: bucket))
      text += "<rect x=\"\(place * barWidth)\" y=\"\(barHeight - height)\" "
      text += "width=\"\(barWidth - 2)\" height=\"\(height)\">"
      text += "<title>\(NumberText.grouped(sizes.counts[bucket])) from \(from)</title></rect>"
    }
    text += labels(SizeText.bytes(sizes.least), SizeText.bytes(sizes.most), below: drawnWidth)
    return text + "</svg><figcaption>\(escaped(title))</figcaption></figure>\n"
  }

  /// One at each end of the bars, or in one where the bars are too few to keep two apart.
  private static func labels(_ least: String, _ most: String, below width: Int) -> String {
    let y = barHeight + 13
    guard width >= plotWidth else {
      let words = least == most ? least : "\(least) to \(most)"
      return "<text x=\"0\" y=\"\(y)\">\(words)</text>"
    }
    return "<text x=\"0\" y=\"\(y)\">\(least)</text>"
      + "<text x=\"\(width - 2)\" y=\"\(y)\" text-anchor=\"end\">\(most)</text>"
  }

  /// Names come from the bucket and may hold anything.
  static func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }
}
