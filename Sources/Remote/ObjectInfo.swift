/// The name of an object in its store, as bytes.
///
/// Keys are compared byte by byte, without Unicode normalisation, as stores do; `String` would take
/// composed and decomposed letters for equal.
package struct ObjectKey: Hashable, Comparable, Sendable {
  package let bytes: [UInt8]

  package init(_ bytes: some Sequence<UInt8>) {
    self.bytes = Array(bytes)
  }

  package init(_ text: String) {
    self.bytes = Array(text.utf8)
  }

  package static func < (left: ObjectKey, right: ObjectKey) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}

/// What a listing says of one object, and what every later request for it is held to.
package struct ObjectInfo: Hashable, Sendable {
  package let key: ObjectKey

  package let sizeBytes: Int64

  /// As the store spells it, quotes included; empty where the store gives none.
  package let eTag: String

  /// Seconds since 1970, UTC; 0 where the store gives none.
  package let modifiedSeconds: Int64

  /// Whether a part of the object can be asked for.
  ///
  /// Where not, it is read whole, from its start.
  package let acceptsRanges: Bool

  package init(
    key: ObjectKey,
    sizeBytes: Int64,
    eTag: String,
    modifiedSeconds: Int64 = 0,
    acceptsRanges: Bool = true
  ) {
    self.key = key
    self.sizeBytes = sizeBytes
    self.eTag = eTag
    self.modifiedSeconds = modifiedSeconds
    self.acceptsRanges = acceptsRanges
  }
}
