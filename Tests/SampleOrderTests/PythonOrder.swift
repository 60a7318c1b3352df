import FoundationEssentials
import SampleOrder

#if canImport(Glibc)
import Glibc
#endif

/// `scripts/order.py`, which was written from `docs/order.md` alone.
///
/// Run with `python3` from the path, or what `WDSFS_TEST_PYTHON` names.
struct PythonOrder {
  struct Request {
    let random: RandomShape
    let parameters: OrderParameters
    var legs: [(worldSize: Int, lanes: Int, consumed: [[Int]?])] = []

    var json: String {
      let legs = legs.map { leg in
        let consumed = leg.consumed.map { $0.map { "\($0)" } ?? "\"all\"" }.joined(separator: ",")
        return "{\"worldSize\":\(leg.worldSize),\"lanes\":\(leg.lanes),\"consumed\":[\(consumed)]}"
      }
      return """
        {"counts":\(random.counts),"seed":\(parameters.seed),"epoch":\(random.epoch),\
        "shuffle":"\(parameters.shuffle.rawValue)","window":\(parameters.shuffleWindow),\
        "worldSize":\(parameters.worldSize),"lanes":\(parameters.lanes),\
        "partition":"\(parameters.partition.rawValue)",\
        "equalize":"\(parameters.equalize?.rawValue ?? "")",\
        "legs":[\(legs.joined(separator: ","))]}
        """
    }
  }

  private struct Refusal: Decodable {
    let error: String
  }

  /// The order of each rank, by request; nil where the script refuses.
  static func answers(_ requests: [Request]) throws -> [[[NaiveOrder.Sample]]?] {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let python = ProcessInfo.processInfo.environment["WDSFS_TEST_PYTHON"] ?? "python3"
    let directory = FileManager.default.temporaryDirectory
    let file = directory.appending(path: "wdsfs-order-\(UUID().uuidString).jsonl")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(requests.map { $0.json + "\n" }.joined().utf8).write(to: file)
    let command = "'\(python)' '\(root.path)/scripts/order.py' < '\(file.path)'"
    guard let pipe = popen(command, "r") else { throw Failure.notStarted(command) }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = fread(&buffer, 1, buffer.count, pipe)
      guard count > 0 else { break }
      output += buffer[..<count]
    }
    let status = pclose(pipe)
    guard status == 0 else { throw Failure.ended(command, status: status) }
    return try output.split(separator: UInt8(ascii: "\n")).map { line in
      let data = Data(line)
      if (try? JSONDecoder().decode(Refusal.self, from: data)) != nil { return nil }
      return try JSONDecoder().decode([[[Int]]].self, from: data).map { rank in
        rank.map { NaiveOrder.Sample(shard: $0[0], number: $0[1]) }
      }
    }
  }

  enum Failure: Error {
    case notStarted(String)
    case ended(String, status: Int32)
  }
}
