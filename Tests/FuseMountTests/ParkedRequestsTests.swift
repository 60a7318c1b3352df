import FuseMount
import Remote
import Synchronization
import Testing

@Suite struct ParkedRequestsTests {
  private final class Interrupts: Sendable {
    private let numbers = Mutex<Set<Int>>([])

    func interrupt(_ request: Int) { numbers.withLock { _ = $0.insert(request) } }

    func isInterrupted(_ request: Int) -> Bool { numbers.withLock { $0.contains(request) } }
  }

  private func make() -> (ParkedRequests<Int>, Interrupts) {
    let interrupts = Interrupts()
    return (ParkedRequests { interrupts.isInterrupted($0) }, interrupts)
  }

  @Test func aRequestIsTakenOnce() {
    let (parked, _) = make()
    let number = parked.newNumber()
    #expect(parked.take(number) == nil)
    #expect(parked.insert(7, as: number) == nil)
    #expect(parked.count == 1)
    #expect(parked.take(number) == 7)
    #expect(parked.take(number) == nil)
    #expect(parked.putBack(7, as: number) == nil)
    #expect(parked.take(number) == 7)
    parked.served()
    #expect(parked.count == 0)
  }

  @Test func numbersAreNeverUsedTwice() {
    let (parked, _) = make()
    let numbers = (0..<1000).map { _ in parked.newNumber() }
    #expect(Set(numbers).count == 1000)
    #expect(!numbers.contains(0))
  }

  @Test func anInterruptedRequestDoesNotWait() {
    let (parked, interrupts) = make()
    let (first, second) = (parked.newNumber(), parked.newNumber())
    interrupts.interrupt(1)
    #expect(parked.insert(1, as: first) == .interrupted)
    #expect(parked.take(first) == nil)
    #expect(parked.insert(2, as: second) == nil)
    #expect(parked.take(second) == 2)
    interrupts.interrupt(2)
    #expect(parked.putBack(2, as: second) == .interrupted)
  }

  @Test func whoWaitsAtTheEndIsHandedOutAndNobodyWaitsAfter() {
    let (parked, _) = make()
    let numbers = (0..<3).map { _ in parked.newNumber() }
    for (request, number) in numbers.enumerated() { _ = parked.insert(request, as: number) }
    let isServed = Mutex(false)
    #expect(parked.close { isServed.withLock { $0 = true } }.sorted() == [0, 1, 2])
    #expect(isServed.withLock { $0 })
    #expect(parked.take(numbers[0]) == nil)
    #expect(parked.insert(9, as: parked.newNumber()) == .closed)
  }

  @Test func theEndWaitsForAnswersUnderWay() {
    let (parked, _) = make()
    let (first, second) = (parked.newNumber(), parked.newNumber())
    _ = parked.insert(1, as: first)
    _ = parked.insert(2, as: second)
    _ = parked.take(first)
    _ = parked.take(second)
    let isServed = Mutex(false)
    #expect(parked.close { isServed.withLock { $0 = true } }.isEmpty)
    parked.served()
    #expect(!isServed.withLock { $0 })
    // One that would go on waiting is refused, and its answer is still owed.
    #expect(parked.putBack(2, as: second) == .closed)
    #expect(!isServed.withLock { $0 })
    parked.served()
    #expect(isServed.withLock { $0 })
  }

  @Test("of the answers, interrupts and the end, one gets each request", .timeLimit(.minutes(10)))
  func race() {
    let (parked, _) = make()
    let numbers = (0..<2000).map { _ in parked.newNumber() }
    for (request, number) in numbers.enumerated() { _ = parked.insert(request, as: number) }
    let takings = Mutex<[Int]>([])
    let done = ReadySignal()
    for _ in 0..<3 {
      WorkerThread.start(name: "taker") {
        for number in numbers {
          guard let request = parked.take(number) else { continue }
          takings.withLock { $0.append(request) }
          parked.served()
        }
        done.signal()
      }
    }
    let isServed = ReadySignal()
    let rest = parked.close { isServed.signal() }
    isServed.wait()
    let before = takings.withLock { $0 }
    for _ in 0..<3 { done.wait() }
    #expect(takings.withLock { $0 } == before)
    #expect((before + rest).sorted() == Array(0..<2000))
  }
}
