/// A mount from settings to its end: builds the floors and hands each to the next.
enum Mount {
  static func serve(
    _ settings: MountSettings,
    _ process: MountProcess
  ) throws(Failure) -> ExitCode {
    throw Failure(.internalError, "cannot mount: \(settings.remote); this build has no stores")
  }
}
