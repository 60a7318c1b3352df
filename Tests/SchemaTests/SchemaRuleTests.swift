import Schema
import Testing

/// What `--schema` may say, and what is shown by it.
@Suite struct SchemaRuleTests {
  @Test(
    "A rule names a field, a format and what the decoded field is called",
    arguments: [
      ("jpg=npy", "jpg", "npy", "jpg.npy"),
      ("JPG=npy:224x224", "jpg", "npy", "jpg.npy"),
      ("left.png+npy:short=64", "left.png", "left.npy", "left.png.npy"),
      ("cls=npy", "cls", "npy", "cls.npy"),
      ("json.gz=raw", "json.gz", "json", "json.gz.raw"),
      ("gz+raw", "gz", "raw", "gz.raw"),
      ("msgpack=json", "msgpack", "json", "msgpack.json"),
      ("caption=txt", "caption", "txt", "caption.txt"),
      ("txt=txt", "txt", "txt", "txt.txt"),
      ("txt=pipe:tr a-z A-Z", "txt", "txt", "txt.raw"),
      ("txt+pipe:tr a-z A-Z", "txt", "pipe", "txt.pipe"),
      ("jpg=pipe.ppm:djpeg -scale 1/2", "jpg", "ppm", "jpg.ppm"),
    ]
  )
  func names(text: String, field: String, short: String, long: String) throws {
    let rule = try SchemaRule(parsing: text)
    #expect(rule.field == field)
    #expect(rule.shortName == short)
    #expect(rule.longName == long)
    #expect(rule.placement == (text.contains("+") ? .beside : .inPlace))
  }

  @Test("A command is split as a shell would, without one")
  func words() throws {
    let rule = try SchemaRule(parsing: #"a=pipe:prog 'two words' "x = \"y\"" b\ c """#)
    #expect(
      rule.format == .pipe(words: ["prog", "two words", "x = \"y\"", "b c", ""], name: nil)
    )
  }

  @Test(
    "What is no rule is refused",
    arguments: [
      ("jpg", .malformed), ("=npy", .malformed), ("jpg=", .malformed),
      ("a/b=npy", .badField("a/b")), (".jpg=npy", .badField(".jpg")),
      ("jpg=numpy", .unknownFormat("numpy")), ("jpg=raw:1", .unknownFormat("raw")),
      ("jpg=npy:224", .badImageSize("224")), ("jpg=npy:0x4", .badImageSize("0x4")),
      ("jpg=npy:8193x1", .badImageSize("8193x1")), ("jpg=npy:short=", .badImageSize("short=")),
      ("jpg=npy:+4x4", .badImageSize("+4x4")), ("jpg=pipe", .badCommand("nothing stands there")),
      ("jpg=pipe: ", .badCommand("nothing stands there")),
      ("jpg=pipe:a 'b", .badCommand("a quote is not closed")),
      ("jpg=pipe./:a", .badExtension("/")), ("txt+txt", .sameName("txt")),
    ] as [(String, SchemaError)]
  )
  func refused(text: String, error: SchemaError) {
    #expect(throws: error) { try SchemaRule(parsing: text) }
  }

  @Test("A cut image's size follows from the format, any other's does not")
  func sizes() throws {
    #expect(try SchemaRule(parsing: "jpg=npy:224x160").format.fixedSizeBytes == 128 + 107_520)
    for text in ["jpg=npy", "jpg=npy:short=224", "gz=raw", "txt=pipe:cat"] {
      #expect(try SchemaRule(parsing: text).format.fixedSizeBytes == nil)
    }
  }
}
