/// `rclone serve s3` on loopback over a directory, with signatures checked.
///
/// Its first-level directories are the buckets. Needs rclone, named by `WDSFS_TEST_RCLONE`.
package final class S3Server: Sendable {
  package static let accessKeyID = "WDSFSTESTKEY"
  package static let secretAccessKey = "wdsfs-test-secret"

  /// Whether rclone is there; suites that need it are enabled by this.
  package static var isAvailable: Bool { program != nil }

  private static var program: String? { RunningProcess.variable("WDSFS_TEST_RCLONE") }

  package let endpointURL: String
  package let directory: TemporaryDirectory
  private let process: RunningProcess

  package init() throws(TestFailure) {
    guard let program = Self.program else { throw TestFailure("WDSFS_TEST_RCLONE is not set") }
    directory = try TemporaryDirectory()
    let path = directory.path
    let server = try LoopbackPort.serve { (port) throws(TestFailure) in
      try RunningProcess(
        program,
        [
          "serve", "s3", path, "--addr", "127.0.0.1:\(port)",
          "--auth-key", "\(Self.accessKeyID),\(Self.secretAccessKey)",
          // So that a file changed behind its back is seen at once.
          "--dir-cache-time", "10ms", "--vfs-cache-mode", "off", "--poll-interval", "0",
          "--config", "/dev/null",
        ]
      )
    }
    process = server.process
    endpointURL = "http://127.0.0.1:\(server.port)"
  }

  /// What a client's environment must hold to be let in.
  package var environment: [String: String] {
    [
      "AWS_ACCESS_KEY_ID": Self.accessKeyID, "AWS_SECRET_ACCESS_KEY": Self.secretAccessKey,
      "AWS_ENDPOINT_URL": endpointURL, "AWS_CONFIG_FILE": "/dev/null",
      "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    ]
  }
}
