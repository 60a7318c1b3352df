/// The ways in which mount(8) calls a helper, turned into our own command line.
package enum Invocation {
  /// The arguments for the parser, without the program's name.
  ///
  /// As `mount.wdsfs` or `mount.fuse.wdsfs` it is called with `REMOTE DIR [-sfnv] [-o …] [-t type]`,
  /// where the letters mean other things than with us. Nil for `-f`, which asks to do all but the
  /// mount.
  package static func arguments(of commandLine: [String]) -> [String]? {
    let arguments = Array(commandLine.dropFirst())
    let name = commandLine.first?.split(separator: "/").last ?? ""
    guard name.hasPrefix("mount.") else { return arguments.flatMap(separated) }
    var translated = ["mount"]
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "-s", "-n", "-v", "-r", "-w": continue
      case "-f": return nil
      case "-t", "-N": _ = rest.popFirst()
      default: translated.append(argument)
      }
    }
    return translated.flatMap(separated)
  }

  /// `-oro` is `-o ro` to every mount program; the parser knows no such form.
  private static func separated(_ argument: String) -> [String] {
    guard argument.hasPrefix("-o"), argument.count > 2 else { return [argument] }
    return ["-o", String(argument.dropFirst(2))]
  }
}
