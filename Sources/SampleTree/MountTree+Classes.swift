import Remote
import ShardCache
import TarIndex

/// `/.classes/<split>/<class>/<key>.<field>`: the samples that have a `cls`, by what it says.
///
/// For loaders that take a folder's name for the label. The folders hold what each sample has beside its
/// `cls`, which is there for who names it. Reading here counts for no rank.
extension MountTree {
  /// The classes of a split, for which its shards must be indexed.
  func classTable(_ split: Int) throws(Obstacle) -> ClassTable {
    guard dataset.splits.indices.contains(split) else { throw .failure(.noSuchEntry) }
    guard let table = classTables[split] else { throw .pending(.classes(split: split)) }
    return table
  }

  /// The pass whose positions are those of the split's classes.
  private func classPass(_ split: Int) throws(Obstacle) -> Pass {
    guard let pass = passes.pass(.classes(split: split), make: { nil }) else {
      throw .failure(.tooManyPasses(path: path(of: .classSplit(split))))
    }
    return pass
  }

  func lookUpClass(
    _ name: UnsafeRawBufferPointer,
    in split: Int
  ) throws(Obstacle) -> Attributes {
    guard let number = try classTable(split).classNumber(named: name) else {
      throw .failure(.noSuchEntry)
    }
    return directory(.classFolder(split: split, number: number))
  }

  func lookUpFile(
    _ name: UnsafeRawBufferPointer,
    ofClass number: Int,
    in split: Int
  ) throws(Obstacle) -> Attributes {
    let table = try classTable(split)
    guard number < table.classCount,
      let (position, ordinal) = table.field(named: name, ofClass: number)
    else { throw .failure(.noSuchEntry) }
    let pass = try classPass(split)
    let sample = try locate(position, in: pass)
    return attributes(ofField: ordinal, of: sample, at: position, in: pass)
  }

  private func attributes(
    ofField ordinal: Int,
    of sample: Sample,
    at position: Int,
    in pass: Pass
  ) -> Attributes {
    let first = sample.index.fieldOrdinals(ofSample: sample.number).lowerBound
    let node = Node.field(pass: pass.number, position: position, field: ordinal - first)
    return attributes(ofField: ordinal, inode: node.inode, sample)
  }

  // MARK: Listing

  func listClasses(
    of split: Int,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    let table = try classTable(split)
    for number in (0..<table.classCount).dropFirst(cursor.position) {
      let folder = directory(.classFolder(split: split, number: number))
      guard cursor.add(table.name(ofClass: number), folder, emit) else { return }
    }
  }

  /// Lists a class's files: an offset is the sample's place in the class and its field's in the sample.
  func listFiles(
    ofClass number: Int,
    in split: Int,
    _ cursor: inout ListingCursor,
    _ emit: (ListingEntry) -> Bool
  ) throws(Obstacle) {
    let table = try classTable(split)
    guard number < table.classCount else { throw .failure(.noSuchEntry) }
    let pass = try classPass(split)
    let positions = table.positions(ofClass: number)
    let fieldNumbers = Node.maxFields + 1
    let first = (cursor.position / fieldNumbers, cursor.position % fieldNumbers)
    for place in (0..<positions.count).dropFirst(first.0) {
      let position = positions.lowerBound + place
      let sample = try locate(position, in: pass)
      let ordinals = sample.index.fieldOrdinals(ofSample: sample.number)
      for ordinal in ordinals.dropFirst(place == first.0 ? first.1 : 0) {
        let isClass = sample.index.withFieldName(ordinal) { $0.elementsEqual("cls".utf8) }
        guard !isClass else { continue }
        cursor.skip(to: place * fieldNumbers + ordinal - ordinals.lowerBound)
        let name = table.fileName(ofField: ordinal, at: position)
        let attributes = attributes(ofField: ordinal, of: sample, at: position, in: pass)
        guard cursor.add(name, attributes, emit) else { return }
      }
    }
  }

  // MARK: Names

  func className(_ number: Int, in split: Int) -> String {
    guard let table = classTables[split], number < table.classCount else { return "?" }
    return PrintableName.text(table.name(ofClass: number))
  }

  /// The path of a sample's files up to the dot before the field, for messages.
  func classPath(at position: Int, in split: Int) -> String {
    guard let table = classTables[split], position < table.sampleCount else { return "?" }
    let folder = Node.classFolder(split: split, number: table.classNumber(at: position))
    return path(of: folder) + "/" + table.withStem(at: position) { PrintableName.text($0) }
  }
}
