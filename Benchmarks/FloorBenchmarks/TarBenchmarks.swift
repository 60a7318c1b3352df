import Benchmark
import TarIndex

/// A tar of samples with two members each.
private func tar(sampleCount: Int, memberBytes: Int) -> [UInt8] {
  var tar: [UInt8] = []
  for number in 0..<sampleCount {
    for (field, size) in [("jpg", memberBytes), ("json", 200)] {
      let name = Array("folder/\(1_000_000 + number).\(field)".utf8)
      tar += TarMemberHeader(name: name, sizeBytes: Int64(size), modifiedSeconds: 1).bytes
      let padded = size + TarMemberHeader.paddingBytes(after: Int64(size))
      tar += repeatElement(UInt8(truncatingIfNeeded: number), count: padded)
    }
  }
  return tar + [UInt8](repeating: 0, count: TarMemberHeader.endBytes)
}

func tarBenchmarks() {
  for (name, sampleCount, memberBytes) in [("100 KB", 2_000, 100_000), ("2 KB", 20_000, 2_000)] {
    Benchmark("tar: index \(sampleCount) samples of \(name)") { benchmark, shard in
      shard.withUnsafeBytes { bytes in
        benchmark.startMeasurement()
        var scanner = TarScanner(objectBytes: Int64(bytes.count))
        // In the blocks that the network hands over.
        for start in stride(from: 0, to: bytes.count, by: 512 << 10) {
          let end = min(bytes.count, start + 512 << 10)
          scanner.feed(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: Int64(start))
        }
        benchmark.stopMeasurement()
        precondition(scanner.sampleCount == sampleCount)
      }
    } setup: {
      tar(sampleCount: sampleCount, memberBytes: memberBytes)
    }
  }
  Benchmark(
    "tar: a member's header for a stream",
    configuration: .init(scalingFactor: .kilo)
  ) { benchmark in
    let name = Array("folder/1000000.json".utf8)
    for number in benchmark.scaledIterations {
      blackHole(
        TarMemberHeader(name: name, sizeBytes: Int64(number), modifiedSeconds: 1_600_000_000)
      )
    }
  }
}
