// libcurl's variadic calls, one C function for each kind of argument. `curl_easy_setopt` is variadic, which Swift cannot call.
#pragma once
#include <curl/curl.h>

typedef size_t (*tracefwd_curl_sink)(char *bytes, size_t size, size_t count, void *context);

CURLcode tracefwd_curl_set_long(CURL *easy, CURLoption option, long value);
CURLcode tracefwd_curl_set_text(CURL *easy, CURLoption option, const char *value);
CURLcode tracefwd_curl_set_pointer(CURL *easy, CURLoption option, void *value);
CURLcode tracefwd_curl_set_size(CURL *easy, CURLoption option, curl_off_t value);
CURLcode tracefwd_curl_set_sink(CURL *easy, CURLoption option, tracefwd_curl_sink value);
CURLcode tracefwd_curl_get_long(CURL *easy, CURLINFO info, long *value);
CURLcode tracefwd_curl_get_pointer(CURL *easy, CURLINFO info, void **value);
CURLMcode tracefwd_curl_multi_set_long(CURLM *multi, CURLMoption option, long value);
// The result of a finished transfer lies in a union.
CURLcode tracefwd_curl_result(const CURLMsg *message);
