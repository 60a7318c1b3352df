import Glibc

/// Where the process begins: before any thread, so that the daemon can be started from here.
@main
enum Main {
  static func main() {
    ProcessUsage.noteStart()
    ProcessSetUp.atStart()
    let program = Program.current(serve: Mount.serve)
    exit(program.run().rawValue)
  }
}
