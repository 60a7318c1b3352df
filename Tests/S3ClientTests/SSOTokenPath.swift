import Glibc
import S3Client
import TestSupport

/// Where the CLI keeps a token: the digest is sha1sum's.
enum SSOTokenPath {
  static func name(of session: String) -> String {
    let digests = [
      "corp": "ee0bfd2552fbd840c02cc48b6e823320543c450f",
      "https://old.awsapps.com/start": "33d5ca4bf3b1a62edb96b47f7c203034a43ac435",
    ]
    return ".aws/sso/cache/\(digests[session] ?? "").json"
  }

  static func mode(of path: String) -> UInt32? {
    var found = stat()
    return stat(path, &found) == 0 ? found.st_mode & 0o777 : nil
  }
}

extension String {
  func replacingFirst(_ text: String, with other: String) -> String {
    guard let range = firstRange(of: text) else { return self }
    return self[..<range.lowerBound] + other + self[range.upperBound...]
  }
}
