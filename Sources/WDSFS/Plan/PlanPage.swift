/// A plan as one page with plots, which needs nothing from elsewhere.
struct PlanPage {
  let plan: Plan

  var text: String {
    """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>wdsfs plan: \(Self.escaped(plan.remote))</title>
    <style>\(Self.style)</style>
    <h1>\(Self.escaped(plan.remote))</h1>
    <p class="dim">shuffle \(plan.shuffle), seed \(plan.seed), \
    \(NumberText.counted(plan.worldSize, "rank")), \(plan.localRanks) of them at one mount</p>
    \(warnings)
    \(cache)
    \(plan.splits.map(section).joined(separator: "\n"))
    <p class="dim">wdsfs \(Version.text), from the options, the listing and what the bucket states</p>
    </html>

    """
  }

  private static let style = """
    body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
      color: #1b1f24; background: #fff }
    h1 { font-size: 1.4rem; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin-top: 2.5rem }
    h3 { font-size: .95rem; margin: 1.4rem 0 .3rem } .dim { color: #667 }
    .warning { border-left: 4px solid #d9a400; background: #fff8e0; padding: .5rem .8rem; margin: .5rem 0 }
    .first { border-color: #cf222e; background: #ffefef }
    figure { margin: 0; overflow-x: auto } svg { width: 100%; min-width: 36rem; height: auto; display: block } rect { fill: #2f6feb } .dot { fill: #2f6feb }
    .over { fill: #cf222e } .room { fill: #d8dee6 } text { font: 11px system-ui, sans-serif; fill: #667 }
    @media (prefers-color-scheme: dark) { body { color: #dde3ea; background: #14181d }
      .warning { background: #3a3213 } .first { background: #41191c } .room { fill: #39424d }
      .dim, text { color: #9aa5b1; fill: #9aa5b1 } }
    """

  // MARK: Parts

  private var warnings: String {
    plan.warnings.enumerated().map { place, warning in
      "<p class=\"warning\(place == 0 ? " first" : "")\">\(Self.escaped(warning.text))</p>"
    }
    .joined(separator: "\n")
  }

  private var cache: String {
    let most = Double(max(plan.neededCacheBytes, plan.cacheBytes, 1))
    let needed = 900 * Double(plan.neededCacheBytes) / most
    let there = 900 * Double(plan.cacheBytes) / most
    let isEnough = plan.cacheBytes >= plan.neededCacheBytes
    return """
      <h3>Cache: \(SizeText.bytes(plan.neededCacheBytes)) wanted so that nothing is fetched twice, \
      \(SizeText.bytes(plan.cacheBytes)) there</h3>
      <figure><svg viewBox="0 0 900 30" role="img" aria-label="cache wanted and there">
      <rect class="room" x="0" y="4" width="\(Self.number(there))" height="22"/>
      <rect\(isEnough ? "" : " class=\"over\"") x="0" y="9" width="\(Self.number(needed))" height="12"/>
      </svg></figure>
      """
  }

  private func section(_ split: Plan.Split) -> String {
    let about = split.isSampleCountKnown ? "" : "about "
    return """
      <h2>\(Self.escaped(split.name))</h2>
      <p>\(NumberText.counted(split.shards, "shard")), \(SizeText.bytes(split.bytes)), \
      \(about)\(NumberText.counted(split.samples, "sample")); \
      \(NumberText.counted(split.lanes, "lane")), window \(split.shuffleWindow), partition \
      \(split.partition); \(NumberText.counted(split.requests, "range GET")) an epoch</p>
      <h3>Bytes of each rank</h3>
      \(bars(split.ranks.map { Double($0.bytes) }, label: { SizeText.bytes(Int64($0)) }))
      <h3>The first \(NumberText.counted(split.firstShards.count, "sample")) of rank 0, and the shard of each</h3>
      \(dots(split))
      """
  }

  private static let maxBars = 256

  private func bars(_ values: [Double], label: (Double) -> String) -> String {
    let shown = values.prefix(Self.maxBars)
    let most = max(shown.max() ?? 0, 1)
    let step = 860.0 / Double(max(1, shown.count))
    var text =
      "<figure><svg viewBox=\"0 0 900 150\" role=\"img\" aria-label=\"bytes of each rank\">\n"
    for (place, value) in shown.enumerated() {
      let height = 110 * value / most
      text += "<rect x=\"\(Self.number(40 + Double(place) * step))\" "
      text += "y=\"\(Self.number(125 - height))\" width=\"\(Self.number(max(0.5, step * 0.8)))\" "
      text +=
        "height=\"\(Self.number(height))\"><title>rank \(place): \(label(value))</title></rect>\n"
    }
    text += "<text x=\"40\" y=\"10\">\(label(most))</text><text x=\"40\" y=\"142\">rank 0</text>"
    if shown.count > 1 {
      text += "<text x=\"900\" y=\"142\" text-anchor=\"end\">rank \(shown.count - 1)</text>"
    }
    return text + "</svg></figure>"
  }

  private func dots(_ split: Plan.Split) -> String {
    let across = 860 / Double(max(1, split.firstShards.count))
    let down = 170 / Double(max(1, split.shards - 1))
    let radius = split.firstShards.count > 150 ? 1.6 : 3
    var text =
      "<figure><svg viewBox=\"0 0 900 210\" role=\"img\" aria-label=\"shard of each sample\">\n"
    for (position, shard) in split.firstShards.enumerated() {
      text +=
        "<circle class=\"dot\" r=\"\(radius)\" cx=\"\(Self.number(40 + Double(position) * across))\" "
      text += "cy=\"\(Self.number(185 - Double(shard) * down))\"/>\n"
    }
    text += "<text x=\"0\" y=\"188\">0</text>"
    if split.shards > 1 { text += "<text x=\"0\" y=\"18\">\(split.shards - 1)</text>" }
    text += "<text x=\"40\" y=\"205\">position 0</text>"
    if let last = split.firstShards.indices.last, last > 0 {
      text += "<text x=\"900\" y=\"205\" text-anchor=\"end\">position \(last)</text>"
    }
    return text + "</svg></figure>"
  }

  // MARK: Text

  static func escaped(_ text: String) -> String {
    var escaped = ""
    for letter in PrintableText.oneLine(text) {
      switch letter {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.append(letter)
      }
    }
    return escaped
  }

  private static func number(_ value: Double) -> String {
    guard value.isFinite else { return "0" }
    return "\((value * 10).rounded() / 10)"
  }
}
