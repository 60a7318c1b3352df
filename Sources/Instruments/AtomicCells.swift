import Glibc
import Synchronization

/// A row of counters that many threads add to without a lock, an allocation or a shared cache line.
///
/// Each cell exists once per stripe; a thread adds to the stripe that its number falls on, and who
/// looks at a cell sums the stripes. A sum taken while others add is of some moment in between.
///
/// Proof of `@unchecked Sendable`: the pointer is set once, to memory that this value alone frees,
/// and what lies there is only touched by atomic operations.
package struct AtomicCells: ~Copyable, @unchecked Sendable {
  /// Twice as many as the mount has threads on a small machine, so that two seldom share one.
  private static let stripeBits: UInt = 3
  private static let stripeCount = 1 << Int(stripeBits)
  private static let lineBytes = 64

  package let count: Int
  private let cells: UnsafeMutablePointer<Atomic<Int>>

  /// From one stripe to the next: whole cache lines.
  private let strideCells: Int

  package init(count: Int) {
    precondition(count > 0, "no cells")
    let cellsPerLine = Self.lineBytes / MemoryLayout<Atomic<Int>>.stride
    self.count = count
    strideCells = (count + cellsPerLine - 1) / cellsPerLine * cellsPerLine
    let total = strideCells * Self.stripeCount
    cells = UnsafeMutableRawPointer.allocate(
      byteCount: total * MemoryLayout<Atomic<Int>>.stride,
      alignment: Self.lineBytes
    ).bindMemory(to: Atomic<Int>.self, capacity: total)
    for number in 0..<total { (cells + number).initialize(to: Atomic(0)) }
  }

  deinit {
    cells.deinitialize(count: strideCells * Self.stripeCount)
    UnsafeMutableRawPointer(cells).deallocate()
  }

  /// Adds to a cell; numbers wrap, as a scraper expects of a counter that starts anew.
  package func add(_ amount: Int, to cell: Int) {
    precondition(cell < count && cell >= 0, "cell \(cell) of \(count)")
    cells[Self.stripe &* strideCells &+ cell].wrappingAdd(amount, ordering: .relaxed)
  }

  /// What was added to a cell by all threads.
  package func sum(_ cell: Int) -> Int {
    precondition(cell < count && cell >= 0, "cell \(cell) of \(count)")
    var sum = 0
    for stripe in 0..<Self.stripeCount {
      sum &+= cells[stripe * strideCells + cell].load(ordering: .relaxed)
    }
    return sum
  }

  /// By the thread's own address, multiplied so that its high bits tell threads apart (Fibonacci
  /// hashing: 2^64 divided by the golden ratio).
  private static var stripe: Int {
    let mixed = UInt(bitPattern: Int(truncatingIfNeeded: pthread_self())) &* 0x9E37_79B9_7F4A_7C15
    return Int(truncatingIfNeeded: mixed >> (UInt(UInt.bitWidth) - stripeBits))
  }
}
