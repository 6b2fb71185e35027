// One HTTP request as a libcurl handle: the request, the address to connect to, and what curl must not do on its own.
// Not here: sockets and callbacks (http), the response (http_answer).
#pragma once

#include <memory>
#include <stdexcept>

#include <curl/curl.h>
#include <fmt/format.h>

#include "probes/result.hpp"

namespace hanat::probes {

/// https; grpc with `tls`.
bool uses_tls(const ProbeSpec& spec);
/// grpc; http and https with `http2`.
bool uses_http2(const ProbeSpec& spec);

class HttpRequest {
public:
  explicit HttpRequest(const Probe& probe); // throws std::exception for an option that this libcurl lacks
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
  void set_request(const Probe& probe);
  void set_http(Kind kind, const HttpSpec& http);
  void set_body(const HttpSpec& http);
  void set_grpc(const GrpcSpec& grpc);
  void set_version(bool tls, bool http2);
  void set_connection(const Probe& probe);
  void set_tls(const ProbeSpec& spec);

  List connect_to_, headers_; // curl keeps pointers to them
  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<CURL, FreeEasy> easy_;
};

} // namespace hanat::probes
