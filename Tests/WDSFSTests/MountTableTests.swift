import Testing
import WDSFS

@Suite struct MountTableTests {
  private let text = #"""
    22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
    30 22 0:5 / /proc rw,nosuid shared:2 master:3 propagate_from:1 - proc proc rw
    40 22 0:50 / /mnt/a\040b\134c\011d\012e rw,nosuid,nodev - fuse.wdsfs s3://b/p\040q rw,user_id=0
    41 22 0:51 / /mnt/two rw - fuse.sshfs host: rw
    42 22 0:52 / /mnt/two rw - fuse.wdsfs s3://b rw
    """#

  @Test func pathsAndSourcesAreUnescaped() throws {
    let table = MountTable(mountinfo: Array(text.utf8))
    #expect(table.entries.count == 5)
    let entry = try #require(table.top(at: "/mnt/a b\\c\td\ne"))
    #expect(entry.isWdsfs)
    #expect(entry.source == Array("s3://b/p q".utf8))
    #expect(table.top(at: "/proc")?.fileSystem == Array("proc".utf8))
    #expect(table.top(at: "/mnt/a") == nil)
  }

  @Test func theLastOfStackedMountsIsSeen() {
    let table = MountTable(mountinfo: Array(text.utf8))
    #expect(table.top(at: "/mnt/two")?.isWdsfs == true)
  }

  @Test(
    "A line that does not fit is passed over",
    arguments: [
      "", " ", "- - - - - - - - - - - -", "1 2 3:4 / /m rw -", "1 2 3:4 / /m rw - fuse",
      "1 2 3:4 / /m rw a b c d e", "1 2 3:4 / /m rw a b c -",
    ]
  )
  func oddLines(_ line: String) {
    let table = MountTable(mountinfo: Array((line + "\n" + text).utf8))
    #expect(table.top(at: "/mnt/two")?.isWdsfs == true)
    #expect(table.top(at: "/m") == nil)
  }

  @Test(
    "An escape that is none stays as it is",
    arguments: [
      (#"/a\"#, #"/a\"#), (#"/a\04"#, #"/a\04"#), (#"/a\089"#, #"/a\089"#),
      (#"/a\777"#, #"/a\777"#), (#"/a\0401"#, "/a 1"),
    ]
  )
  func oddEscapes(_ field: String, _ path: String) {
    let line = "1 2 3:4 / \(field) rw - fuse.wdsfs s rw"
    #expect(MountTable(mountinfo: Array(line.utf8)).top(at: path) != nil)
  }

  @Test func everyCutOfATableIsReadWithoutHarm() {
    let bytes = Array(text.utf8)
    for count in 0...bytes.count {
      #expect(MountTable(mountinfo: Array(bytes.prefix(count))).entries.count <= 5)
    }
  }

  @Test func thePresentTableHasARoot() {
    #expect(MountTable.current().top(at: "/") != nil)
  }
}
