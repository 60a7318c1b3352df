/// Why a cursor cannot be used.
package enum CursorError: Error, Hashable, Sendable {
  /// Larger than any cursor; not looked into.
  case tooLarge(sizeBytes: Int, maxBytes: Int)

  /// Not a cursor, a torn one, or one that was changed by hand.
  case damaged(String)

  /// Written by a later wdsfs.
  case newerFormat(found: Int, known: Int)

  /// Its orders are made by rules that are not known here.
  case otherOrder(found: Int, known: Int)

  /// The split's shards are not those that the cursor was written for.
  case otherDataset(split: String, saved: String, present: String)

  /// An option asks for another order than the cursor's.
  case contradicts(option: String, saved: String, given: String)

  /// Progress of some ranks only, and asked to serve another world size.
  case incomplete(ranks: [Int], worldSize: Int, wanted: Int)

  /// Cursors to merge that do not belong together: what differs, in the first and in another.
  case notOfOneRun(what: String, first: String, other: String)

  /// What it says makes no order.
  case order(OrderError)
}

extension CursorError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tooLarge(let sizeBytes, let maxBytes):
      "\(sizeBytes) bytes are no cursor, which have at most \(maxBytes)"
    case .damaged(let detail):
      "the cursor is damaged: \(detail); the one before it is kept beside it as FILE.previous"
    case .newerFormat(let found, let known):
      "the cursor has format \(found) and this wdsfs knows \(known); use a newer wdsfs"
    case .otherOrder(let found, let known):
      "the cursor's order has version \(found) and this wdsfs knows \(known); use a newer wdsfs"
    case .otherDataset(let split, let saved, let present):
      "this is the cursor of another dataset: \(split) has fingerprint \(present), the cursor "
        + "\(saved); name another --cursor to start afresh"
    case .contradicts(let option, let saved, let given):
      "\(option) is \(given), the cursor says \(saved); leave the option out, or name another "
        + "--cursor to start afresh"
    case .incomplete(let ranks, let worldSize, let wanted):
      "the cursor holds \(ranks.count) of \(worldSize) ranks and cannot be resumed at world size "
        + "\(wanted); give the cursors of all nodes"
    case .notOfOneRun(let what, let first, let other):
      "the cursors are not of one run: \(what) is \(first) in the first and \(other) in another"
    case .order(let error):
      "the cursor makes no order: \(error)"
    }
  }
}
