// libcurl's variadic functions, one static inline function for each kind of argument.
#pragma once
#include <curl/curl.h>
#include <stddef.h>

static inline CURLcode wdsfs_easy_set_long(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode wdsfs_easy_set_text(CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode wdsfs_easy_set_pointer(CURL *handle, CURLoption option, void *value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode wdsfs_easy_set_list(
    CURL *handle, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(handle, option, value);
}

typedef size_t (*wdsfs_data_callback)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode wdsfs_easy_set_callback(
    CURL *handle, CURLoption option, wdsfs_data_callback callback) {
  return curl_easy_setopt(handle, option, callback);
}

static inline CURLcode wdsfs_easy_get_long(CURL *handle, CURLINFO info, long *value) {
  return curl_easy_getinfo(handle, info, value);
}

static inline CURLcode wdsfs_easy_get_pointer(CURL *handle, CURLINFO info, void **value) {
  return curl_easy_getinfo(handle, info, (char **)value);
}

static inline CURLMcode wdsfs_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return curl_multi_setopt(multi, option, value);
}

// The result of a finished transfer is a member of a union, which Swift reads only by copying.
static inline CURLcode wdsfs_message_result(const CURLMsg *message) { return message->data.result; }
