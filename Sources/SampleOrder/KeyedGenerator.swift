/// Repeatable random words, each found directly by its number.
///
/// A key is a stream of words, that of SplitMix64 (Steele, Lea and Flood 2014) begun at the key.
/// Keys are made by hashing what they stand for, word after word, never by adding: seed 1 in epoch 0
/// has nothing to do with seed 0 in epoch 1. `docs/order.md` holds the same in prose.
struct KeyedGenerator: Hashable, Sendable {
  /// What a key is for, so that no two uses share a stream.
  enum Purpose: UInt64 {
    case shardList = 1
    case window = 2
  }

  /// 2^64 divided by the golden ratio, made odd: SplitMix64's increment.
  private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

  let key: UInt64

  private init(key: UInt64) {
    self.key = key
  }

  init(_ purpose: Purpose, seed: UInt64, epoch: Int) {
    let start = Self(key: 0).narrowed(by: purpose.rawValue)
    self = start.narrowed(by: seed).narrowed(by: UInt64(truncatingIfNeeded: epoch))
  }

  /// The generator of a part: the key hashed together with the part's number.
  func narrowed(by word: UInt64) -> Self {
    Self(key: Self.mix((key ^ word) &+ Self.step))
  }

  /// The word of that number, from 0.
  func word(_ number: UInt64) -> UInt64 {
    Self.mix(key &+ (number &+ 1) &* Self.step)
  }

  /// The word of that number brought down to `0..<bound`.
  ///
  /// The high half of a product: off from even by less than `bound` / 2^64.
  func word(_ number: UInt64, below bound: UInt64) -> UInt64 {
    word(number).multipliedFullWidth(by: bound).high
  }

  /// SplitMix64's finaliser, a bijection of 64 bits.
  private static func mix(_ word: UInt64) -> UInt64 {
    var mixed = word
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
