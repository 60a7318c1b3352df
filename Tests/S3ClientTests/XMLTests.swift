import Remote
import S3Client
import Testing

@Suite struct XMLTests {
  private func events(_ text: String) throws -> [XMLPullParser.Event] {
    var parser = XMLPullParser(Array(text.utf8))
    var events: [XMLPullParser.Event] = []
    while let event = try parser.next() { events.append(event) }
    return events
  }

  @Test("elements, text, entities, CDATA and comments are read")
  func plain() throws {
    let found = try events(
      "<?xml version=\"1.0\"?><!-- c --><a x='1' y=\"2\"><b>1 &lt; 2 &#x41;&#66;<![CDATA[<&]]></b><c/></a>"
    )
    #expect(
      found == [
        .start("a"), .start("b"), .text(Array("1 < 2 AB<&".utf8)), .end("b"), .start("c"),
        .end("c"), .end("a"),
      ]
    )
  }

  @Test(
    "what is not the small XML of S3 is refused (X5, S26)",
    arguments: [
      "", "not xml", "<a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "<a>&#0;</a>",
      "<a>&#xD800;</a>",
      "<!DOCTYPE a [<!ENTITY x \"xx\">]><a>&x;</a>", "<a><!ELEMENT b></a>",
      "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "<a><?php ?></a>", "<a", "<a b>",
      "<a b=c/>",
      "<a>text", "x<a/>", "<a/>x", "<a>\u{1}</a>", "<a>&amp</a>", "<a><![CDATA[x</a>", "< a/>",
      "</a>",
      "<html><body>503</html>",
    ]
  )
  func refused(text: String) {
    #expect(throws: XMLPullParser.Malformed.self) { try events(text) }
  }

  @Test("depth and text are bounded")
  func bounds() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
    }
    #expect(try events(nested(16)).count == 32)
    #expect(throws: XMLPullParser.Malformed.self) { try events(nested(17)) }
    #expect(throws: XMLPullParser.Malformed.self) { try events(nested(100_000)) }
    #expect(try events("<a>\(String(repeating: "x", count: 4096))</a>").count == 3)
    let long = String(repeating: "x", count: 2049)
    let texts = [
      long + long, "\(long)&lt;\(long)", "<![CDATA[\(long)]]>\(long)", long + long + "é",
    ]
    for text in texts {
      #expect(try events("<a>\(text)</a>") == [.start("a"), .longText, .end("a")])
    }
    #expect(throws: XMLPullParser.Malformed.self) { try events("<a/>\(long)\(long)") }
  }

  @Test("every cut of a good listing is refused, at whatever byte")
  func cut() throws {
    let page = Array(
      """
      <?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/x">
      <IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>
      <Contents><Key>a%2Fb+c.tar</Key><Size>12</Size><ETag>&quot;e&quot;</ETag>
      <LastModified>2013-05-24T00:00:01.000Z</LastModified></Contents>
      <EncodingType>url</EncodingType></ListBucketResult>
      """.utf8
    )
    let whole = try ListPage(page)
    #expect(
      whole.objects == [
        ObjectInfo(
          key: ObjectKey("a/b c.tar"),
          sizeBytes: 12,
          eTag: "\"e\"",
          modifiedSeconds: 1_369_353_601
        )
      ]
    )
    #expect(whole.isTruncated && whole.nextToken == "t&1")
    for count in page.indices {
      #expect(throws: XMLPullParser.Malformed.self) { try ListPage(Array(page[..<count])) }
    }
  }

  @Test("odd entries are left out and counted (S28)")
  func oddEntries() throws {
    let sizes = ["", "-1", "99999999999999999999", "1e3", "7"]
    let contents = sizes.map { "<Contents><Key>k</Key><Size>\($0)</Size></Contents>" }.joined()
    let long =
      "<Contents><Key>\(String(repeating: "k", count: 1025))</Key><Size>1</Size></Contents>"
    let page = try ListPage(
      Array("<ListBucketResult>\(contents)\(long)<Contents/></ListBucketResult>".utf8)
    )
    #expect(page.objects.map(\.sizeBytes) == [7])
    #expect(page.oddEntries == 6)
  }

  @Test("an entry with a text of any length costs the others nothing, a token is an error (S28)")
  func longTexts() throws {
    let long = String(repeating: "k", count: 200_000)
    let good = "<Contents><Key>a.tar</Key><Size>7</Size></Contents>"
    let page = try ListPage(
      Array(
        """
        <ListBucketResult><Contents><Key>\(long)</Key><Size>1</Size></Contents>\(good)<Contents>
        <Key>b.tar</Key><Size>1</Size><Owner><ID>\(long)</ID></Owner></Contents></ListBucketResult>
        """.utf8
      )
    )
    #expect(page.objects.map(\.sizeBytes) == [7])
    #expect(page.oddEntries == 2)
    let token = "<NextContinuationToken>\(long)</NextContinuationToken>"
    #expect(throws: XMLPullParser.Malformed.self) {
      try ListPage(Array("<ListBucketResult>\(good)\(token)</ListBucketResult>".utf8))
    }
  }

  @Test("another root, and text that is no UTF-8, are no listing")
  func wrongRoot() {
    #expect(throws: XMLPullParser.Malformed.self) { try ListPage(Array("<Error/>".utf8)) }
    let bytes = Array("<ListBucketResult><a>".utf8) + [0xFF] + Array("</a></ListBucketResult>".utf8)
    #expect(throws: XMLPullParser.Malformed.self) { try ListPage(bytes) }
  }
}
