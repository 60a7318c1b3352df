import CProcess

/// The variables that the process was started with.
enum ProcessEnvironment {
  /// A copy; of two with one name the later.
  static var variables: [String: String] {
    var variables: [String: String] = [:]
    var next = wdsfs_environment()
    while let entry = next?.pointee {
      let text = String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      next = next?.advanced(by: 1)
    }
    return variables
  }
}
