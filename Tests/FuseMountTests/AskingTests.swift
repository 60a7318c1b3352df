import FuseMount
import SampleTree
import ShardCache
import Synchronization
import Testing

@Suite struct AskingTests {
  private static func want(_ number: Int) -> Want { .sample(number: number, shard: 0) }

  /// What was asked and answered, in order.
  private final class Record: Sendable {
    let lines = Mutex<[String]>([])
    let waiter = Mutex<(any CacheWaiter)?>(nil)

    func add(_ line: String) { lines.withLock { $0.append(line) } }
  }

  @Test func aQuestionIsAskedAgainUntilItIsAnswered() {
    let record = Record()
    let left = Mutex(2)
    let asking = Asking { want, waiter in
      record.add("ask \(want)")
      record.waiter.withLock { $0 = waiter }
    } leave: { _, _ in
      Issue.record("nobody left")
    } attempt: { failure in
      record.add(failure.map { "\($0)" } ?? "try")
      return left.withLock { left in
        left -= 1
        return left > 0 ? Self.want(left) : nil
      }
    }
    asking.wait(for: Self.want(9))
    #expect(record.lines.withLock { $0 } == ["ask \(Self.want(9))"])
    record.waiter.withLock { $0 }?.cacheAnswered(nil)
    record.waiter.withLock { $0 }?.cacheAnswered(.closed)
    #expect(
      record.lines.withLock { $0 } == [
        "ask \(Self.want(9))", "try", "ask \(Self.want(1))", "the mount is ending",
      ]
    )
  }

  @Test func answersAtOnceNeedNoDeepStack() {
    let attempts = Mutex(0)
    let asking = Asking { _, waiter in
      waiter.cacheAnswered(nil)
    } leave: { _, _ in
      Issue.record("nobody left")
    } attempt: { _ in
      attempts.withLock { attempts in
        attempts += 1
        return attempts < 1_000_000 ? Self.want(attempts) : nil
      }
    }
    asking.wait(for: Self.want(0))
    #expect(attempts.withLock { $0 } == 1_000_000)
  }

  @Test func aFailureThatComesAtOnceIsHandedOn() {
    let record = Record()
    let asking = Asking { _, waiter in
      waiter.cacheAnswered(.closed)
    } leave: { _, _ in
      Issue.record("nobody left")
    } attempt: { failure in
      record.add(failure.map { "\($0)" } ?? "try")
      return nil
    }
    asking.wait(for: Self.want(0))
    #expect(record.lines.withLock { $0 } == ["the mount is ending"])
  }

  @Test func whoLeavesGivesUpWhatItWaitsForAndNothingElse() {
    let record = Record()
    let asking = Asking { want, _ in
      record.add("ask \(want)")
    } leave: { want, _ in
      record.add("leave \(want)")
    } attempt: { _ in
      Self.want(2)
    }
    asking.wait(for: Self.want(1))
    asking.cacheAnswered(nil)
    asking.leave()
    #expect(
      record.lines.withLock { $0 }
        == ["ask \(Self.want(1))", "ask \(Self.want(2))", "leave \(Self.want(2))"]
    )
  }

  @Test func whoLeavesWhileTheQuestionIsPutGivesItUpAfterwards() {
    let record = Record()
    let itself = Mutex<Asking?>(nil)
    let asking = Asking { want, _ in
      itself.withLock { $0 }?.leave()
      record.add("asked \(want)")
    } leave: { want, _ in
      record.add("leave \(want)")
    } attempt: { _ in
      nil
    }
    itself.withLock { $0 = asking }
    asking.wait(for: Self.want(1))
    itself.withLock { $0 = nil }
    #expect(record.lines.withLock { $0 } == ["asked \(Self.want(1))", "leave \(Self.want(1))"])
  }
}
