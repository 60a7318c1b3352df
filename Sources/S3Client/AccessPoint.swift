import Remote

/// An access point of S3, named by its ARN in place of a bucket.
struct AccessPoint: Hashable, Sendable {
  let name: String
  let account: String
  let region: String

  /// Reads `arn:aws:s3:us-west-2:123456789012:accesspoint:name`; nil for a bucket's name.
  ///
  /// - Throws: `StoreError.invalid` for other ARNs, with what could be done.
  init?(_ text: String) throws(StoreError) {
    guard text.hasPrefix("arn:") else { return nil }
    let shown = PrintableName.text(text.utf8)
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { String($0) }
    guard parts.count == 7, parts[2] == "s3", parts[5] == "accesspoint" else {
      throw .invalid(
        "\(shown) is not the ARN of an S3 access point, as in "
          + "arn:aws:s3:us-west-2:123456789012:accesspoint/name"
      )
    }
    guard !parts[3].isEmpty else {
      throw .invalid(
        "\(shown) is an access point for several regions, whose requests want signatures that "
          + "wdsfs does not make (SigV4A); name one of its buckets"
      )
    }
    guard S3Settings.isRegion(parts[3]), Self.isAccount(parts[4]), Self.isLabel(parts[6]) else {
      throw .invalid("\(shown): region, account or name of the access point make no sense")
    }
    (region, account, name) = (parts[3], parts[4], parts[6])
  }

  /// An account's number.
  static func isAccount(_ text: String) -> Bool {
    text.utf8.count == 12
      && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  /// What can be one label of a host's name.
  static func isLabel(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 63
      && text.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
      }
  }
}
