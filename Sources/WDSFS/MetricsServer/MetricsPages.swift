import Instruments

/// What the metrics server shows: the page for people with its parts, and the numbers it draws.
struct MetricsPages: Sendable {
  let controls: ControlContents

  func content(_ path: String) -> HTTPExchange.Content? {
    switch path {
    case "/":
      HTTPExchange.Content(type: "text/html; charset=utf-8", bytes: PackageResources.page_html)
    case "/page.css":
      HTTPExchange.Content(type: "text/css; charset=utf-8", bytes: PackageResources.page_css)
    case "/page.js":
      HTTPExchange.Content(type: "text/javascript; charset=utf-8", bytes: PackageResources.page_js)
    case "/metrics":
      HTTPExchange.Content(type: PrometheusText.contentType, bytes: controls.metrics.text)
    case "/stats.json": json(controls.statisticsDocument)
    case "/config.json": json(controls.configurationDocument)
    default: nil
    }
  }

  private func json(_ bytes: [UInt8]) -> HTTPExchange.Content {
    HTTPExchange.Content(type: "application/json", bytes: bytes)
  }
}
