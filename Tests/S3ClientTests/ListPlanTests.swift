import Remote
import S3Client
import Testing

/// Listings in sections: whatever the names, every key once and in order, or no result at all.
@Suite struct ListPlanTests {
  private struct Walk {
    let plan: ListPlan
    let requests: Int

    /// Round trips, one after the other, where up to `maxAsked` requests share one.
    let rounds: Int
  }

  private func walk(_ keys: PagedKeys, maxAsked: Int = 16) throws -> Walk {
    var plan = ListPlan(keys.page(token: nil, after: nil), maxAsked: maxAsked)
    var requests = 1
    var rounds = 1
    while !plan.isComplete, !plan.isContradicted {
      var questions: [ListPlan.Question] = []
      while let question = plan.nextQuestion() { questions.append(question) }
      try #require(!questions.isEmpty && questions.count <= maxAsked)
      rounds += 1
      // The last one's answer comes first.
      for question in questions.reversed() {
        requests += 1
        let after = question.token == nil ? String(decoding: question.after, as: UTF8.self) : nil
        let page = keys.page(token: question.token, after: after)
        plan.take(page, for: question.section)
      }
    }
    return Walk(plan: plan, requests: requests, rounds: rounds)
  }

  private func expectAll(
    _ walk: Walk,
    _ keys: PagedKeys,
    at location: SourceLocation = #_sourceLocation
  ) {
    let found = walk.plan.pages.joined().map(\.key)
    let isEqual = found == keys.keys.map { ObjectKey($0) }
    #expect(isEqual, "\(found.count) of \(keys.keys.count) keys", sourceLocation: location)
    #expect(!walk.plan.isContradicted, sourceLocation: location)
    #expect(walk.plan.keyCount == keys.keys.count, sourceLocation: location)
  }

  @Test("a hundred pages of numbered shards take a dozen round trips")
  func manyShards() throws {
    let keys = PagedKeys(PagedKeys.numbered("train/shard-", 10_000, digits: 5), pageCount: 100)
    let walk = try walk(keys)
    expectAll(walk, keys)
    #expect(walk.rounds <= 16)
    #expect(walk.requests <= 150)
  }

  @Test("what lies behind the end of a folder's numbers is found, and cut in its turn")
  func twoFolders() throws {
    let keys = PagedKeys(
      PagedKeys.numbered("set/train/", 15_000) + PagedKeys.numbered("set/val-", 5_000),
      pageCount: 100
    )
    let walk = try walk(keys)
    expectAll(walk, keys)
    #expect(walk.rounds <= 40)
  }

  @Test("names by hash are cut at their hexadecimal digits")
  func hashes() throws {
    let keys = PagedKeys(
      (0..<6_000).map { number in
        let text = String(UInt64(number) &* 0x9E37_79B9_7F4A_7C15, radix: 16)
        return "x/" + String(repeating: "0", count: 16 - text.count) + text + ".tar"
      },
      pageCount: 100
    )
    let walk = try walk(keys)
    expectAll(walk, keys)
    #expect(walk.rounds <= 25)
  }

  @Test("names that tell nothing are walked one page after the other")
  func words() throws {
    let keys = PagedKeys((0..<3000).map { "\(["b", "q", "y"][$0 / 1000])-\($0 % 1000)-x" })
    let page = keys.page(token: nil, after: nil)
    let plan = ListPlan(page, maxAsked: 16)
    #expect(!plan.isSplit || plan.pages.count == 1)
    expectAll(try walk(keys), keys)
  }

  @Test("random sets of keys are listed whole, whatever the pages and the order of the answers")
  func randomSets() throws {
    var state: UInt64 = 42
    func random(_ most: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % most
    }
    for _ in 0..<30 {
      var keys: Set<String> = []
      for _ in 0...random(4) {
        let prefix = ["", "train/", "v2/2024-05-0\(random(9))/part-", "a9/", "zz"][random(5)]
        let step = 1 + random(40)
        let radix = random(3) == 0 ? 16 : 10
        for number in 0..<(1 + random(900)) {
          let text = String(number * step, radix: radix)
          let isPadded = random(8) != 0
          let padding = String(repeating: "0", count: isPadded ? max(0, 6 - text.count) : 0)
          keys.insert(prefix + padding + text + (random(2) == 0 ? ".tar" : ""))
        }
      }
      let paged = PagedKeys(Array(keys), pageCount: 1 + random(50))
      let maxAsked = 1 + random(20)
      expectAll(try walk(paged, maxAsked: maxAsked), paged)
    }
  }

  @Test(
    "a store that does not honour start-after, or does not sort, contradicts the plan",
    arguments: [PagedKeys.Habit.ignoresStartAfter, .unsorted, .skipsOne]
  )
  func habits(habit: PagedKeys.Habit) throws {
    let keys = PagedKeys(
      PagedKeys.numbered("train/", 5_000, digits: 5),
      habit: habit,
      pageCount: 100
    )
    #expect(try walk(keys).plan.isContradicted)
  }

  @Test("a section whose pages come round in a circle contradicts the plan")
  func circle() throws {
    let keys = PagedKeys(PagedKeys.numbered("train/", 5_000), pageCount: 100)
    let page = keys.page(token: nil, after: nil)
    var plan = ListPlan(page, maxAsked: 4)
    let question = plan.nextQuestion()
    plan.take(page, for: try #require(question).section)
    #expect(plan.isContradicted)
    let further = plan.nextQuestion()
    #expect(further == nil)
  }
}
