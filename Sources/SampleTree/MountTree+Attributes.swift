import Glibc
import Remote
import ShardCache
import TarIndex

/// Extended attributes: where a sample comes from, and how long a rank's epoch is.
extension MountTree {
  private enum Name {
    static let key = "user.wds.key"
    static let shard = "user.wds.shard"
    static let number = "user.wds.number"
    static let offset = "user.wds.offset"
    static let eTag = "user.wds.etag"
    static let samples = "user.wds.samples"
    static let epoch = "user.wds.epoch"
  }

  package func extendedAttributeNames(of inode: UInt64) throws(Obstacle) -> [String] {
    switch try node(inode) {
    case .sample, .field: [Name.key, Name.shard, Name.number, Name.offset, Name.eTag]
    case .pass(let number): try names(of: presentPass(try pass(number)))
    default: []
    }
  }

  /// The value of an extended attribute.
  ///
  /// - Parameters:
  ///   - name: As the kernel gives it; names that are not ours are asked for all the time, for
  ///     example by `ls` and `cp`, and are answered without looking further.
  ///   - inode: Of any node.
  /// - Returns: The value's bytes.
  /// - Throws: `Obstacle`.
  package func extendedAttribute(
    _ name: UnsafeRawBufferPointer,
    of inode: UInt64
  ) throws(Obstacle) -> [UInt8] {
    guard name.starts(with: "user.wds.".utf8) else { throw .failure(.noSuchAttribute) }
    let name = String(decoding: name, as: UTF8.self)
    switch try node(inode) {
    case .sample(let number, let position):
      let sample = try locate(position, in: try pass(number))
      return try value(
        name,
        of: sample,
        offset: sample.index.span(ofSample: sample.number).lowerBound
      )
    case .field(let number, let position, let field):
      let (sample, ordinal) = try self.field(field, at: position, in: try pass(number))
      return try value(name, of: sample, offset: sample.index.member(ordinal).dataOffset)
    case .pass(let number):
      let pass = try presentPass(try pass(number))
      guard let epoch = pass.epoch else { throw .failure(.noSuchAttribute) }
      switch name {
      case Name.epoch: return Array(String(epoch).utf8)
      case Name.samples:
        guard let length = length(of: pass) else { throw .failure(.noSuchAttribute) }
        return Array(String(length).utf8)
      default: throw .failure(.noSuchAttribute)
      }
    default: throw .failure(.noSuchAttribute)
    }
  }

  private func value(
    _ name: String,
    of sample: Sample,
    offset: Int64
  ) throws(Obstacle) -> [UInt8] {
    let object = cache.shards[sample.shard]
    switch name {
    case Name.key: return sample.index.withKey(ofSample: sample.number) { Array($0) }
    case Name.shard: return object.key.bytes
    case Name.number: return Array(String(sample.number).utf8)
    case Name.offset: return Array(String(offset).utf8)
    case Name.eTag: return Array(object.eTag.utf8)
    default: throw .failure(.noSuchAttribute)
    }
  }

  /// How many samples a rank has, where the indexes of all its shards are known.
  private func names(of pass: Pass) -> [String] {
    guard pass.epoch != nil else { return [] }
    return length(of: pass) == nil ? [Name.epoch] : [Name.samples, Name.epoch]
  }

  private func length(of pass: Pass) -> Int? {
    if let length = pass.length { return length }
    let shards = dataset.splits[pass.split].shards
    for place in pass.uncountedPlaces(from: 0, limit: shards.count) {
      guard let index = cache.index(ofShard: shards[place]), index.isComplete else { return nil }
      learn(index.sampleCount, isExact: true, ofPlace: place, pass)
    }
    return pass.length
  }

  static func now() -> Int64 { Int64(time(nil)) }
}
