import Logging

/// Starts the metrics server, where one is asked for.
enum MetricsWiring {
  static func server(
    _ settings: MountSettings,
    _ controls: ControlContents,
    _ log: Logger
  ) throws(Failure) -> HTTPServer? {
    guard let address = settings.metricsAddress else { return nil }
    let pages = MetricsPages(controls: controls)
    let server: HTTPServer
    do throws(SystemCallError) {
      server = try HTTPServer(at: address) { pages.content($0) }
    } catch {
      throw Failure(
        .usage,
        "cannot serve metrics at \(address): \(error); give --metrics-addr another address or port"
      )
    }
    log.info(
      "metrics are at http://\(server.address)/",
      metadata: ["event": "metrics.ready", "address": "\(server.address)"]
    )
    if !address.isLoopback {
      log.warning(
        "whoever reaches this machine can read the metrics at \(server.address)",
        metadata: ["event": "metrics.open", "address": "\(server.address)"]
      )
    }
    return server
  }
}
