/// Sizes and places of the flat form of an index; `docs/index-format.md` describes it.
enum IndexFormat {
  /// "WDSINDEX", as a little-endian number.
  static let magic: UInt64 = 0x5845_444E_4953_4457

  /// Of version 1 there were no classes; such an index is made anew.
  static let version: UInt32 = 2

  /// Where the bytes begin that the checksum covers.
  static let checkedFrom = 16

  static let headerBytes = 160

  /// Places in the header.
  enum Header {
    static let magic = 0
    static let checksum = 8
    static let version = 16
    static let flags = 20
    static let totalBytes = 24
    static let objectBytes = 32
    static let sampleCount = 40
    static let fieldCount = 48
    static let damageOffset = 56
    static let damageClass = 64
    static let reserved = 68
    static let sectionBytes = 72
  }

  static let completeFlag: UInt32 = 1

  /// The sections, in the order in which they follow the header.
  enum Section: Int, CaseIterable {
    case pages
    case pageData
    case layoutEnds
    case layouts
    case nameEnds
    case names
    case classEnds
    case classes
    case classNumbers
    case warnings
    case padding
  }

  /// A longer `cls` is no class: what names a folder is short, and is read with every index.
  static let maxClassBytes = 255

  /// Bytes of a sample's class number, 0 where no sample has a class.
  static func classWidth(classCount: Int) -> Int {
    switch classCount {
    case 0: 0
    case ...Int(UInt8.max): 1
    case ...Int(UInt16.max): 2
    default: 4
    }
  }

  /// So that eight bytes can be loaded at any byte of a page.
  static let paddingBytes = 8

  static let pageRecordBytes = 44

  /// Places in a page's record.
  enum Page {
    static let firstSample = 0
    static let firstField = 4
    static let start = 8
    static let data = 16
    static let timeBase = 24
    static let layout = 32
    static let rows = 36
    static let leadBlocks = 40
    static let timeWidth = 42
    static let kind = 43
  }

  /// Enough to spread a record's cost; few enough to add up the sizes before a member at once.
  static let maxPageRows = 32
  static let maxPageFields = 128

  /// A layout's entry for one field: number of its name (4 bytes), blocks before its data (2).
  static let layoutEntryBytes = 6

  /// An entry of an explicit page: data offset, size and time.
  static let explicitEntryBytes = 24

  /// In the data offset of an explicit entry: the member is sparse.
  static let sparseBit: UInt64 = 1 << 63

  /// In place of a page's fixed suffix length: each key's end is given, in 2 or 4 bytes.
  static let shortKeyEnds: UInt32 = 0xFFFF_FFFE
  static let longKeyEnds: UInt32 = 0xFFFF_FFFF
  static let keyHeaderBytes = 8
}
