import Glibc

/// The errnos that decide something here, and the system's text for any.
package enum SystemError {
  package static let noEntry = ENOENT
  package static let notDirectory = ENOTDIR
  package static let accessDenied = EACCES
  package static let notPermitted = EPERM

  /// For example `Permission denied`.
  package static func text(_ number: Int32) -> String {
    guard let text = strerror(number) else { return "error \(number)" }
    return String(cString: text)
  }
}

/// A system call failed, and how.
struct SystemCallError: Error, Hashable, CustomStringConvertible {
  let number: Int32

  static var latest: SystemCallError { SystemCallError(number: errno) }

  var description: String { SystemError.text(number) }
}
