import FuseMount
import Glibc
import Remote
import SampleTree
import ShardCache
import Testing

@Suite struct ErrnoTableTests {
  private static let key = ObjectKey("train/a.tar")

  @Test(
    "what the tree itself says",
    arguments: [
      (.noSuchEntry, ENOENT, false), (.notADirectory, ENOTDIR, false),
      (.isADirectory, EISDIR, false), (.noSuchAttribute, ENODATA, false),
      (.readOnly, EROFS, false), (.nameTooLong, ENAMETOOLONG, false),
      (.sparseField(path: "p", shard: key), EOPNOTSUPP, true),
      (.tooManyFields(path: "p", shard: key, count: 5000), EIO, true),
      (.tooManyPasses(path: "p"), EIO, true),
      (.cache(path: "p", .shardChanged(shard: key, detail: "")), ESTALE, true),
      (.cache(path: "p", .shardBad(shard: key, errorClass: "not-tar", offset: 0)), EIO, true),
      (.cache(path: "p", .cacheTooSmall(shard: key, neededBytes: 2, budgetBytes: 1)), EIO, true),
      (.cache(path: "p", .closed), EIO, false),
    ] as [(TreeError, Int32, Bool)]
  )
  func tree(_ error: TreeError, _ status: Int32, _ isFailure: Bool) {
    #expect(ErrnoTable.errno(for: error) == status)
    #expect(ErrnoTable.isFailure(error) == isFailure)
  }

  @Test(
    "what the store says of a shard",
    arguments: [
      (.noSuchObject(key: key), ENOENT), (.noSuchContainer("b"), ENOENT),
      (.missingShards(first: "a", missingCount: 1, totalCount: 2), ENOENT),
      (.objectChanged(key: key, listed: "1", found: "2"), ESTALE),
      (.refused(what: "read", code: "AccessDenied", detail: ""), EACCES),
      (.credentials("expired"), EACCES),
      (.unreachable(endpoint: "e", detail: "d"), EIO),
      (.exhausted(what: "read", attempts: 5, seconds: 60, detail: "503"), EIO),
      (.rangesUnsupported(key: key), EIO), (.badReply(what: "read", detail: "d"), EIO),
      (.invalid("i"), EIO), (.cancelled, EIO),
      (.file(path: "f", errno: ENOENT), ENOENT), (.file(path: "f", errno: EACCES), EACCES),
      (.file(path: "f", errno: ESTALE), ESTALE), (.file(path: "f", errno: EIO), EIO),
    ] as [(StoreError, Int32)]
  )
  func store(_ error: StoreError, _ status: Int32) {
    let error = TreeError.cache(path: "p", .fetch(shard: Self.key, range: 0..<1, error))
    #expect(ErrnoTable.errno(for: error) == status)
    // To whoever lists, ENOENT would be the end of the directory.
    #expect(ErrnoTable.errno(forListing: error) == (status == ENOENT ? EIO : status))
    #expect(ErrnoTable.isFailure(error))
    #expect(error.shard == Self.key)
  }

  @Test(
    "a shortage on our side is never a reader's",
    arguments: [
      ENOMEM, EMFILE, ENFILE, EAGAIN, ENOSPC, EINTR,
    ]
  )
  func shortage(_ status: Int32) {
    let error = StoreError.file(path: "f", errno: status)
    let failure = CacheError.fetch(shard: Self.key, range: 0..<1, error)
    #expect(ErrnoTable.errno(for: .cache(path: "p", failure)) == EIO)
  }
}
