extension ShardIndex {
  /// Writes the name that the mount lists for a field: the key's last part, a dot, the field.
  ///
  /// - Parameters:
  ///   - ordinal: The field.
  ///   - sampleNumber: The sample that it belongs to.
  ///   - scratch: Takes the name; at least `SampleName.maxFileNameBytes`.
  /// - Returns: The name's length.
  package func writeListedName(
    ofField ordinal: Int,
    inSample sampleNumber: Int,
    into scratch: UnsafeMutableRawBufferPointer
  ) -> Int {
    withListedHead(ofSample: sampleNumber) { head in
      withFieldName(ordinal) { SampleName.writeFileName(head, $0, into: scratch) }
    }
  }

  /// Writes the other name of a field's file: the field alone.
  ///
  /// - Parameters:
  ///   - ordinal: The field.
  ///   - sampleNumber: The sample that it belongs to.
  ///   - scratch: Takes the name; at least `SampleName.maxFileNameBytes`.
  /// - Returns: The name's length.
  package func writeBareName(
    ofField ordinal: Int,
    inSample sampleNumber: Int,
    into scratch: UnsafeMutableRawBufferPointer
  ) -> Int {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    return withFieldName(ordinal) { SampleName.writeFileName(nothing, $0, into: scratch) }
  }

  /// Writes the name of a file that is shown beside a sample's fields.
  ///
  /// - Parameters:
  ///   - field: What takes a field's place in the name.
  ///   - sampleNumber: The sample.
  ///   - isListed: Whether the key's last part and a dot stand before it.
  ///   - scratch: Takes the name; at least `SampleName.maxFileNameBytes`.
  /// - Returns: The name's length.
  package func writeName(
    of field: UnsafeRawBufferPointer,
    inSample sampleNumber: Int,
    isListed: Bool,
    into scratch: UnsafeMutableRawBufferPointer
  ) -> Int {
    guard isListed else {
      let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
      return SampleName.writeFileName(nothing, field, into: scratch)
    }
    return withListedHead(ofSample: sampleNumber) { head in
      SampleName.writeFileName(head, field, into: scratch)
    }
  }

  /// The field that a file name means in a sample: a listed name first, then a bare one.
  ///
  /// - Complexity: O(fields), O(log fields) in samples of very many; O(fields) SHA-256 for a name
  ///   that shows a digest.
  package func ordinal(named fileName: UnsafeRawBufferPointer, inSample sampleNumber: Int) -> Int? {
    guard (1...SampleName.maxFileNameBytes).contains(fileName.count) else { return nil }
    if SampleName.isPlain(fileName) { return ordinal(of: fileName, inSample: sampleNumber) }
    if SampleName.isDigestName(fileName) {
      return ordinal(ofDigestName: fileName, inSample: sampleNumber)
    }
    let maxBytes = SampleName.maxFileNameBytes
    return withUnsafeTemporaryAllocation(byteCount: maxBytes, alignment: 1) { scratch in
      guard let count = SampleName.readFileName(fileName, into: scratch) else { return nil }
      let name = UnsafeRawBufferPointer(rebasing: scratch[..<count])
      return ordinal(of: name, inSample: sampleNumber)
    }
  }

  /// A sample's field of a name, as the format description splits it off.
  package func ordinal(
    ofField field: UnsafeRawBufferPointer,
    inSample sampleNumber: Int
  ) -> Int? {
    let ordinals = fieldOrdinals(ofSample: sampleNumber)
    return column(of: field, in: page(ofField: ordinals.lowerBound))
      .map { ordinals.lowerBound + $0 }
  }

  private func ordinal(of name: UnsafeRawBufferPointer, inSample sampleNumber: Int) -> Int? {
    let ordinals = fieldOrdinals(ofSample: sampleNumber)
    let page = page(ofField: ordinals.lowerBound)
    let listed = withListedHead(ofSample: sampleNumber) { head -> Int? in
      guard name.starts(with: head) else { return nil }
      return column(of: UnsafeRawBufferPointer(rebasing: name[head.count...]), in: page)
    }
    return (listed ?? column(of: name, in: page)).map { ordinals.lowerBound + $0 }
  }

  private func ordinal(
    ofDigestName fileName: UnsafeRawBufferPointer,
    inSample sampleNumber: Int
  ) -> Int? {
    let maxBytes = SampleName.maxFileNameBytes
    return withUnsafeTemporaryAllocation(byteCount: maxBytes, alignment: 1) { scratch in
      let ordinals = fieldOrdinals(ofSample: sampleNumber)
      func isWritten(_ count: Int) -> Bool {
        UnsafeRawBufferPointer(rebasing: scratch[..<count]).equals(fileName)
      }
      return ordinals.first {
        isWritten(writeListedName(ofField: $0, inSample: sampleNumber, into: scratch))
      }
        ?? ordinals.first {
          isWritten(writeBareName(ofField: $0, inSample: sampleNumber, into: scratch))
        }
    }
  }

  /// The place of a field in a page's layout.
  private func column(of field: UnsafeRawBufferPointer, in page: Page) -> Int? {
    guard page.isExplicit else {
      return (0..<page.fieldCount).first { fieldName(page, $0).equals(field) }
    }
    let order = page.rows + page.fieldCount * IndexFormat.explicitEntryBytes + 8
    func column(_ rank: Int) -> Int {
      Int(storage.bytes.number(at: order + rank * 4, as: UInt32.self))
    }
    var low = 0
    var high = page.fieldCount
    while low < high {
      let middle = (low + high) / 2
      if fieldName(page, column(middle)).precedes(field) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    guard low < page.fieldCount, fieldName(page, column(low)).equals(field) else { return nil }
    return column(low)
  }

  /// Gives what a sample's listed names begin with: the key's last part and a dot.
  private func withListedHead<Result>(
    ofSample sampleNumber: Int,
    _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    withKey(ofSample: sampleNumber) { key in
      var start = key.count
      while start > 0, key[start - 1] != UInt8(ascii: "/") { start -= 1 }
      let count = key.count - start
      return withUnsafeTemporaryAllocation(byteCount: count + 1, alignment: 1) { head in
        head.copyMemory(from: UnsafeRawBufferPointer(rebasing: key[start...]))
        head[count] = UInt8(ascii: ".")
        return body(UnsafeRawBufferPointer(head))
      }
    }
  }
}
