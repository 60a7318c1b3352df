/// The shards of a remote and how they form splits.
package struct Dataset: Sendable {
  /// Each shard once, ascending by the bytes of the key; of a pattern, in its order.
  package let shards: [ObjectInfo]

  /// Ascending by name; no two have the same name.
  package let splits: [Split]

  /// A named subset of the shards.
  package struct Split: Sendable {
    package let name: SplitName

    /// Places in `Dataset.shards`, ascending.
    package let shards: [Int]
  }

  /// Makes a dataset of what a listing gave.
  ///
  /// Objects that are no shards are left alone. A shard may be in several splits, where globs
  /// overlap; one that is in none is left out.
  ///
  /// - Parameters:
  ///   - objects: The whole listing, in the store's order.
  ///   - address: Where the listing comes from.
  ///   - options: As given by `--split`; none: splits by folder and name (design, section 2).
  /// - Throws: What is wrong with the listing or the options; `.noShards` above all.
  /// - Complexity: O(n), and a sort where the listing was not sorted.
  package init(
    of objects: [ObjectInfo],
    at address: RemoteAddress,
    options: [SplitOption] = []
  ) throws(DatasetError) {
    let shards = try Self.shards(among: objects, isOrdered: address.isOrdered)
    guard !shards.isEmpty else {
      throw .noShards(remote: address.displayName, objectCount: objects.count)
    }
    let prefixCount = address.keyPrefix.count
    var places: [SplitName: [Int]] = [:]
    let needsNames =
      options.isEmpty || options.contains { if case .kept = $0 { true } else { false } }
    let byName = needsNames ? Self.splitsByName(shards, prefixCount, address) : [:]
    if options.isEmpty { places = byName }
    for (name, options) in Dictionary(grouping: options, by: \.name) {
      places[name] = try Self.places(of: name, options, shards, prefixCount, byName)
    }
    self.init(shards: shards, places: places)
  }

  /// Lists a store and makes a dataset of it; blocks until the last page.
  package init(
    listing store: any ObjectStore,
    at address: RemoteAddress,
    options: [SplitOption] = []
  ) throws(DatasetError) {
    self = try Self.list(store, at: address, options: options).dataset
  }

  /// Lists a store, and keeps beside the dataset what is no shard.
  ///
  /// Blocks until the last page.
  ///
  /// - Parameters:
  ///   - store: Is listed.
  ///   - address: Its address.
  ///   - options: As given by `--split`.
  /// - Returns: The dataset, and the listed objects that are no shards.
  /// - Throws: As the initialiser does.
  package static func list(
    _ store: any ObjectStore,
    at address: RemoteAddress,
    options: [SplitOption] = []
  ) throws(DatasetError) -> (dataset: Dataset, notes: [ObjectInfo]) {
    var objects: [ObjectInfo] = []
    do throws(StoreError) {
      try store.list { (page) throws(StoreError) in objects += page }
    } catch {
      throw .store(error)
    }
    let dataset = try Dataset(of: objects, at: address, options: options)
    return (dataset, objects.filter { !ShardName.isShard($0.key.bytes) })
  }

  /// Leaves out the shards that no split has.
  private init(shards: [ObjectInfo], places: [SplitName: [Int]]) {
    var newPlaces = [Int](repeating: -1, count: shards.count)
    for place in places.values.joined() { newPlaces[place] = 0 }
    var kept: [ObjectInfo] = []
    for place in shards.indices where newPlaces[place] == 0 {
      newPlaces[place] = kept.count
      kept.append(shards[place])
    }
    self.shards = kept
    splits = places.map { name, places in
      Split(name: name, shards: places.map { newPlaces[$0] })
    }
    .sorted { $0.name < $1.name }
  }
}

// MARK: - Shards

extension Dataset {
  private static func shards(
    among objects: [ObjectInfo],
    isOrdered: Bool
  ) throws(DatasetError) -> [ObjectInfo] {
    let shards = objects.filter { ShardName.isShard($0.key.bytes) }
    let isSorted = zip(shards, shards.dropFirst()).allSatisfy { $0.key < $1.key }
    if isSorted { return shards }
    let sorted = shards.sorted { $0.key < $1.key }
    for (left, right) in zip(sorted, sorted.dropFirst()) where left.key == right.key {
      throw .duplicateShard(key: left.key)
    }
    return isOrdered ? shards : sorted
  }
}

// MARK: - Splits

extension Dataset {
  private static func places(
    of name: SplitName,
    _ options: [SplitOption],
    _ shards: [ObjectInfo],
    _ prefixCount: Int,
    _ byName: [SplitName: [Int]]
  ) throws(DatasetError) -> [Int] {
    var globs: [KeyGlob] = []
    var found: [Int] = []
    for option in options {
      switch option {
      case .defined(_, let glob): globs.append(glob)
      case .kept:
        guard let places = byName[name] else {
          throw .noSuchSplit(
            name: name.description,
            available: byName.keys.sorted().map(\.description)
          )
        }
        found = places
      }
    }
    if !globs.isEmpty {
      let fitting = shards.indices.filter { place in
        globs.contains { $0.matches(shards[place].key.bytes.dropFirst(prefixCount)) }
      }
      guard !fitting.isEmpty else {
        throw .emptySplit(name: name.description, globs: globs.map(\.text))
      }
      found = found.isEmpty ? fitting : Set(found).union(fitting).sorted()
    }
    return found
  }

  /// One split for each first-level folder; shards at the top by the stems of their names.
  private static func splitsByName(
    _ shards: [ObjectInfo],
    _ prefixCount: Int,
    _ address: RemoteAddress
  ) -> [SplitName: [Int]] {
    var folders = Groups()
    var stems = Groups()
    for (place, shard) in shards.enumerated() {
      let name = shard.key.bytes.dropFirst(prefixCount)
      if let slash = name.firstIndex(of: UInt8(ascii: "/")) {
        folders.add(place, to: name[..<slash])
      } else {
        stems.add(place, to: ShardName.stem(of: name)[...])
      }
    }
    var splits: [SplitName: [Int]] = [:]
    for (folder, places) in folders.groups {
      splits[SplitName(found: folder), default: []] += places
    }
    for (stem, places) in stems.groups {
      let isOnly = stems.groups.count == 1
      let fallback = address.folderName ?? (stem.isEmpty ? address.webFolder : stem)
      let name = isOnly || stem.isEmpty ? fallback : stem
      splits[SplitName(found: name), default: []] += places
    }
    return splits.mapValues { $0.sorted() }
  }

  /// Places by name; a run of one name, the usual case, costs one look-up.
  private struct Groups {
    private var numbers: [[UInt8]: Int] = [:]
    private(set) var groups: [(name: [UInt8], places: [Int])] = []
    private var last = 0

    mutating func add(_ place: Int, to name: ArraySlice<UInt8>) {
      if groups.indices.contains(last), name.elementsEqual(groups[last].name) {
        groups[last].places.append(place)
        return
      }
      let name = Array(name)
      last = numbers[name] ?? groups.count
      if last == groups.count {
        numbers[name] = last
        groups.append((name, []))
      }
      groups[last].places.append(place)
    }
  }
}

extension RemoteAddress {
  /// What a pattern's only split is called where its names are bare numbers: the folder of the
  /// first, else its host.
  fileprivate var webFolder: [UInt8] {
    guard case .web(let urls, _) = self, let first = urls.first else { return Array("data".utf8) }
    let path = first.prefix { $0 != UInt8(ascii: "?") }
    let parts = path.split(separator: UInt8(ascii: "/"))
    return parts.count > 2 ? Array(parts[parts.count - 2]) : Array("data".utf8)
  }
}
