/// One `--schema`: which field is decoded, into what, and where it is shown.
package struct SchemaRule: Hashable, Sendable {
  package enum Placement: Hashable, Sendable {
    /// The raw field is not shown.
    case inPlace
    case beside
  }

  /// As the index has it: lower-case, without the key.
  package let field: String
  package private(set) var format: FieldFormat
  package let placement: Placement

  /// As the user wrote it.
  package let text: String

  /// Reads `FIELD=FORMAT` or `FIELD+FORMAT`.
  package init(parsing text: String) throws(SchemaError) {
    guard let mark = text.firstIndex(where: { $0 == "=" || $0 == "+" }), mark > text.startIndex
    else { throw .malformed }
    let rest = String(text[text.index(after: mark)...])
    guard !rest.isEmpty else { throw .malformed }
    let field = String(text[..<mark])
    guard field.utf8.count <= 255, !field.hasPrefix("."), !field.hasSuffix("."),
      !field.unicodeScalars.contains(where: { $0 == "/" || $0.value < 0x21 || $0.value == 0x7F })
    else { throw .badField(field) }
    self.text = text
    self.field = field.lowercased()
    format = try FieldFormat(parsing: rest)
    placement = text[mark] == "=" ? .inPlace : .beside
    guard placement == .inPlace || shortName != self.field else { throw .sameName(shortName) }
  }

  /// The same, with a program's path made absolute; a bare name is looked for in `PATH`.
  package func locatingProgram(_ absolute: (_ path: String) -> String) -> SchemaRule {
    guard case .pipe(var words, let name) = format, words[0].contains("/") else { return self }
    words[0] = absolute(words[0])
    var rule = self
    rule.format = .pipe(words: words, name: name)
    return rule
  }

  // MARK: Names

  /// The decoded field's name: the raw one's with its last part replaced.
  package var shortName: String {
    guard case .replaced(let name) = format.naming(isBeside: placement == .beside) else {
      guard case .dropped = format.naming(isBeside: placement == .beside) else { return field }
      return stem.isEmpty ? "raw" : stem
    }
    return stem.isEmpty ? name : stem + "." + name
  }

  /// The decoded field's name where another field has the short one.
  package var longName: String {
    switch format.naming(isBeside: placement == .beside) {
    case .replaced(let name): field + "." + name
    case .dropped, .kept: field + ".raw"
    }
  }

  /// What stands before the field's last dot.
  private var stem: String {
    field.lastIndex(of: ".").map { String(field[..<$0]) } ?? ""
  }

  /// Whether it gives an image, by what the user says: an image and a label never share a name.
  package var isImage: Bool {
    guard case .npy(let size) = format else { return false }
    let last = field.lastIndex(of: ".").map { String(field[field.index(after: $0)...]) } ?? field
    return size != nil || ["jpg", "jpeg", "png", "webp"].contains(last)
  }
}
