// One HTTP request as a libcurl handle: what is asked, of which address, and all that curl must not do by itself.
// Not here: sockets, callbacks, the answer.
#pragma once

#include <memory>
#include <stdexcept>

#include <curl/curl.h>
#include <fmt/format.h>

#include "probes/probe.hpp"

namespace hanat::probes {

/// https, and grpc that says so.
bool asks_over_tls(const Spec& spec);
/// grpc, and http and https that say so.
bool asks_http2(const Spec& spec);

class HttpRequest {
public:
  explicit HttpRequest(const Question& question); // throws std::exception for what this libcurl does not take
  CURL* easy() const { return easy_.get(); }

  template <class Value> void set(CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(easy_.get(), option, value); code != CURLE_OK)
      throw std::runtime_error(fmt::format("libcurl option {}: {}", static_cast<int>(option), curl_easy_strerror(code)));
  }

private:
  struct FreeEasy {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  using List = std::unique_ptr<curl_slist, FreeList>;

  static void append(List& list, const std::string& line);
  void set_request(const Question& question);
  void set_http(Kind kind, const HttpSpec& http);
  void set_grpc(const GrpcSpec& grpc);
  void set_version(bool tls, bool http2);
  void set_connection(const Question& question);

  List connect_to_, headers_; // curl keeps pointers to them
  std::unique_ptr<CURL, FreeEasy> easy_;
};

} // namespace hanat::probes
