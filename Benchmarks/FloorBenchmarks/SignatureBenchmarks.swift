import Benchmark
import S3Client

func signatureBenchmarks() {
  Benchmark(
    "s3: a range GET signed",
    configuration: .init(scalingFactor: .kilo)
  ) { benchmark in
    guard let time = CalendarTime(iso8601: "2013-05-24T00:00:00Z") else { return }
    let credentials = Credentials(
      accessKeyID: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
      sessionToken: nil,
      source: "the documentation"
    )
    let signature = RequestSignature()
    benchmark.startMeasurement()
    for number in benchmark.scaledIterations {
      var input = RequestSignature.Input(
        host: "examplebucket.s3.amazonaws.com",
        path: "/train/shard-000000.tar"
      )
      input.headers = [("range", "bytes=\(number)-9999999")]
      blackHole(
        signature.headers(for: input, credentials: credentials, region: "us-east-1", at: time)
      )
    }
    benchmark.stopMeasurement()
  }
}
