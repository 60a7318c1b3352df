import SampleOrder
import Testing

@Suite struct PythonOrderTests {
  typealias Sample = NaiveOrder.Sample

  @Test("the implementation made from docs/order.md gives the same orders")
  func fresh() throws {
    var requests: [PythonOrder.Request] = []
    var expected: [[[Sample]]?] = []
    for seed in Effort.seeds(80, long: 1_500) {
      var generator = TestGenerator(seed: seed &+ 77)
      let random = try RandomShape(using: &generator)
      let choices: [OrderParameters.Equalize?] = [nil, .drop, .repeat]
      let equalize = choices[Int.random(in: 0...2, using: &generator)]
      let parameters = try random.with(equalize)
      requests.append(PythonOrder.Request(random: random, parameters: parameters))
      do {
        let order = try EpochOrder(parameters, epoch: random.epoch, shape: random.shape)
        expected.append(
          try (0..<parameters.worldSize).map { try EpochOrderTests.samples(of: order.rank($0)) }
        )
      } catch OrderError.nothingToRepeat {
        expected.append(nil)
      }
    }
    let answers = try PythonOrder.answers(requests)
    #expect(answers.count == expected.count)
    for (place, answer) in answers.enumerated() {
      #expect(answer == expected[place], "seed \(place): \(requests[place].random)")
    }
  }

  @Test("and the same after legs at other world sizes")
  func legs() throws {
    var requests: [PythonOrder.Request] = []
    var expected: [[[Sample]]] = []
    for seed in Effort.seeds(80, long: 1_000) {
      var generator = TestGenerator(seed: seed &+ 99)
      let random = try RandomShape(using: &generator, maxSamples: 800)
      let choices: [OrderParameters.Equalize?] = [nil, nil, .drop, .repeat]
      let first = try random.with(choices[Int.random(in: 0...3, using: &generator)])
      do {
        let (request, answer) = try chain(random, first, using: &generator)
        requests.append(request)
        expected.append(answer)
      } catch OrderError.nothingToRepeat {
        continue
      }
    }
    let answers = try PythonOrder.answers(requests)
    #expect(answers.count == expected.count)
    for (place, answer) in answers.enumerated() {
      #expect(answer == expected[place], "\(requests[place].random)")
    }
  }

  /// Reads an epoch at several world sizes.
  private func chain(
    _ random: RandomShape,
    _ first: OrderParameters,
    using generator: inout TestGenerator
  ) throws -> (request: PythonOrder.Request, answer: [[Sample]]) {
    var parameters = first
    var legs: [Leg] = []
    var request = PythonOrder.Request(random: random, parameters: parameters)
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      let order = try EpochOrder(parameters, epoch: random.epoch, shape: random.shape, legs: legs)
      var ranks: [Progress] = []
      for rank in 0..<parameters.worldSize {
        let length = try #require(order.rank(rank).length)
        ranks.append(progress(epoch: random.epoch, length: length, using: &generator))
      }
      let (worldSize, lanes) = (parameters.worldSize, parameters.lanes)
      legs.append(try Leg(worldSize: worldSize, lanes: lanes, ranks: ranks))
      let consumed = ranks.map { progress -> [Int]? in
        progress.epoch > random.epoch ? nil : progress.consumed.allRanges.flatMap { Array($0) }
      }
      request.legs.append((worldSize, lanes, consumed))
      let next = [1, 2, 3, 4, 5, 8, 12].randomElement(using: &generator) ?? 1
      parameters = try parameters.resumed(atWorldSize: next, lanesAsked: nil)
    }
    let order = try EpochOrder(parameters, epoch: random.epoch, shape: random.shape, legs: legs)
    let answer = try (0..<parameters.worldSize).map {
      try EpochOrderTests.samples(of: order.rank($0))
    }
    let legsTold = request.legs
    request = PythonOrder.Request(random: random, parameters: parameters, legs: legsTold)
    return (request, answer)
  }

  private func progress(
    epoch: Int,
    length: Int,
    using generator: inout TestGenerator
  ) -> Progress {
    if generator.once(in: 9) { return Progress(epoch: epoch + 2) }
    if generator.once(in: 9) { return Progress(epoch: epoch, consumed: Consumed(below: length)) }
    var consumed = Consumed(below: Int.random(in: 0...length / 2, using: &generator))
    for _ in 0..<Int.random(in: 0...6, using: &generator) where length > 0 {
      consumed.insert(Int.random(in: 0..<length, using: &generator))
    }
    return Progress(epoch: epoch, consumed: consumed)
  }
}
