import TestSupport
import Testing

@testable import ShardCache

@Suite struct FileLedgerTests {
  private func file(_ number: Int32) -> FileLedger.FileID {
    FileLedger.FileID(identity: ShardIdentity(high: 1, low: 2), plane: .stored, number: number)
  }

  private func drain(_ ledger: inout FileLedger) -> [Int32] {
    var numbers: [Int32] = []
    while let oldest = ledger.oldestFile {
      numbers.append(oldest.number)
      ledger.remove(oldest)
    }
    return numbers
  }

  @Test("Files take whole blocks, and one of an absurd size counts for no more than 4 GiB")
  func sizes() {
    #expect(FileLedger.diskBytes(ofFile: 0) == 0)
    #expect(FileLedger.diskBytes(ofFile: 1) == 4096)
    #expect(FileLedger.diskBytes(ofFile: 4096) == 4096)
    #expect(FileLedger.diskBytes(ofData: 1 << 20) == (1 << 20) + 4096)
    #expect(FileLedger.diskBytes(ofFile: .max) == 1 << 32)
    #expect(FileLedger.diskBytes(ofFile: -1) == 0)
  }

  @Test("The file used least recently goes first, and what was found is older than what was used")
  func order() {
    var ledger = FileLedger()
    for number in 0..<3 as Range<Int32> { ledger.use(file(number), diskBytes: 4096) }
    ledger.found(file(10), diskBytes: 4096)
    ledger.found(file(11), diskBytes: 4096)
    ledger.found(file(1), diskBytes: 8192)
    ledger.use(file(0), diskBytes: 4096)
    #expect(ledger.usedBytes == 5 * 4096)
    #expect(ledger.fileCount == 5)
    #expect(drain(&ledger) == [11, 10, 1, 2, 0])
    #expect(ledger.usedBytes == 0)
    #expect(ledger.fileCount == 0)
  }

  @Test("A file of another size than before is counted anew")
  func sizeChanges() {
    var ledger = FileLedger()
    ledger.use(file(0), diskBytes: 4096)
    ledger.use(file(0), diskBytes: 8192)
    #expect(ledger.usedBytes == 8192)
    ledger.remove(file(0))
    ledger.remove(file(0))
    #expect(ledger.usedBytes == 0)
  }

  @Test("Over 10,000 random steps it keeps the order of a list", arguments: [1, 2] as [UInt64])
  func agreesWithList(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var ledger = FileLedger()
    var list: [Int32] = []
    for step in 0..<10_000 {
      let number = Int32(generator.below(30))
      switch generator.below(4) {
      case 0:
        ledger.found(file(number), diskBytes: 4096)
        if !list.contains(number) { list.insert(number, at: 0) }
      case 1:
        ledger.remove(file(number))
        list.removeAll { $0 == number }
      default:
        ledger.use(file(number), diskBytes: 4096)
        list.removeAll { $0 == number }
        list.append(number)
      }
      #expect(ledger.oldestFile?.number == list.first, "seed \(seed), step \(step)")
      #expect(ledger.usedBytes == Int64(list.count) * 4096, "seed \(seed), step \(step)")
    }
    #expect(drain(&ledger) == list)
  }
}
