import CCurl

/// One libcurl transfer, freed with the value.
///
/// Belongs to one thread: the loop's, or who sends a request of its own.
struct EasyHandle: ~Copyable {
  let raw: UnsafeMutableRawPointer
  private var headers: UnsafeMutablePointer<curl_slist>?
  private let errorText: UnsafeMutablePointer<CChar>

  init?() {
    guard let raw = curl_easy_init() else { return nil }
    self.raw = raw
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    wdsfs_easy_set_pointer(raw, CURLOPT_ERRORBUFFER, errorText)
  }

  deinit {
    curl_easy_cleanup(raw)
    curl_slist_free_all(headers)
    errorText.deallocate()
  }

  func set(_ option: CURLoption, _ value: Int) {
    wdsfs_easy_set_long(raw, option, value)
  }

  func set(_ option: CURLoption, _ value: String) {
    wdsfs_easy_set_text(raw, option, value)
  }

  func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) {
    wdsfs_easy_set_pointer(raw, option, value)
  }

  func set(_ option: CURLoption, _ callback: wdsfs_data_callback) {
    wdsfs_easy_set_callback(raw, option, callback)
  }

  /// Sets the request's headers, once.
  mutating func set(headers lines: [String]) {
    for line in lines { headers = curl_slist_append(headers, line) ?? headers }
    wdsfs_easy_set_list(raw, CURLOPT_HTTPHEADER, headers)
  }

  /// What libcurl says of the failure.
  var failure: String { String(cString: errorText) }
}
