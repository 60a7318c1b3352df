/// A place where foreign bytes come in, and what must hold whatever they are.
///
/// A breach is a trap, so that whatever runs a target finds it.
package enum FuzzTarget: String, CaseIterable, Sendable {
  /// Headers, extensions, sparse maps, names and samples of a tar.
  case tar

  /// The index of a shard, as a file of it may hold it.
  case index

  /// What comes before a tar: gzip, zstd, lz4, bzip2 and xz, and the tar inside.
  case compressed

  /// A page of ListObjectsV2, and the XML below it.
  case list

  /// The head of a reply, and the ranges that it may name.
  case head

  /// A config or credentials file of the AWS tools.
  case profiles

  /// A cursor file with a right checksum, and what is written to `.cursor`.
  case cursor

  /// Patterns of names in remotes and options.
  case pattern

  /// A field that is decoded for `--schema`, and the option itself.
  case field

  /// Takes the input as it comes; returns, whatever it is.
  package func run(_ input: [UInt8]) {
    switch self {
    case .tar: TarTarget.run(input)
    case .index: TarTarget.runIndex(input)
    case .compressed: CompressedTarget.run(input)
    case .list: TextTargets.list(input)
    case .head: TextTargets.head(input)
    case .profiles: TextTargets.profiles(input)
    case .cursor: TextTargets.cursor(input)
    case .pattern: TextTargets.pattern(input)
    case .field: FieldTarget.run(input)
    }
  }
}

/// Ends the process where an input has shown that something does not hold.
func hold(_ condition: Bool, _ what: String) {
  precondition(condition, what)
}
