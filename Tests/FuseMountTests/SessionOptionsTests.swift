import FuseMount
import Testing

@Suite struct SessionOptionsTests {
  private func options(_ sourceName: String, allowsOthers: Bool = false) -> [String] {
    FuseSession.options(
      FuseSession.Settings(
        sourceName: sourceName,
        owner: Owner(user: 1, group: 2),
        allowsOthers: allowsOthers,
        extraOptions: ["dirsync"]
      )
    )
  }

  @Test func everyMountIsWithoutSetUidDevicesAndAccessTimes() {
    let options = options("s3://b/p")
    #expect(Set(options).isSuperset(of: ["nosuid", "nodev", "noatime", "default_permissions"]))
    #expect(options.contains("subtype=wdsfs") && options.contains("max_read=1048576"))
    #expect(options.contains("fsname=s3://b/p") && options.last == "dirsync")
    #expect(!options.contains("allow_other") && !options.contains("ro"))
    #expect(self.options("b", allowsOthers: true).contains("allow_other"))
  }

  @Test(
    "a source's name cannot become an option of its own",
    arguments: [
      ("a,suid", "fsname=a\\,suid"), ("a\\,b", "fsname=a\\\\\\,b"), ("a\nb", "fsname=a?b"),
      ("é", "fsname=é"), ("", "fsname="),
    ]
  )
  func escaping(_ name: String, _ option: String) {
    #expect(options(name).first == option)
  }
}
