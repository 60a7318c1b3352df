/// How the fields of a sample are listed.
package enum FieldNames: String, CaseIterable, Sendable {
  /// `00000042.jpg`.
  case key

  /// `jpg`.
  case field
}

/// One `--split`: a name, and the keys that belong to it.
package struct SplitRule: Hashable, Sendable {
  package let name: String

  /// A pattern over the keys below the remote; nil keeps the split of this name as it was found.
  package let pattern: String?

  package init(name: String, pattern: String?) {
    self.name = name
    self.pattern = pattern
  }
}

package enum CachePlace: Hashable, Sendable {
  /// An absolute path.
  case directory(String)

  case memory
}

package enum CacheSize: Hashable, Sendable {
  /// 20 % of the free space, at most 100 GiB.
  case automatic

  case bytes(Int64)

  /// 1 to 100, of the free space.
  case percent(Int)
}

/// How far ahead of a reader data is fetched.
package enum Prefetch: Hashable, Sendable {
  case samples(Int)
  case bytes(Int64)
}
