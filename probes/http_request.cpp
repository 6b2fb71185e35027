// The options of one libcurl handle.
#include "probes/http_request.hpp"

#include <new>
#include <string>

namespace hanat::probes {
namespace {

// With verify, a certificate that has expired is noticed at the next handshake: no connection is older than this.
constexpr long longest_connection_s = 60;
// Reading the system's authorities takes 28 ms of CPU (a handshake without it 1 ms), so not for every handshake; a new one counts after
// this.
constexpr long longest_authorities_s = 600;

std::string in_brackets(const Address& address) {
  return address.family() == Family::ipv6 ? fmt::format("[{}]", address.text()) : address.text();
}

/// Host header and SNI come from the URL; where the connection really goes says CURLOPT_CONNECT_TO.
std::string url_of(const Question& question) {
  const auto& http = question.spec.of<HttpSpec>();
  const std::string authority =
      http.host.empty() ? fmt::format("{}:{}", in_brackets(question.server.address), question.server.port) : http.host;
  return fmt::format("{}://{}{}{}", to_text(question.spec.kind), authority, http.path.starts_with('/') ? "" : "/", http.path);
}

} // namespace

HttpRequest::HttpRequest(const Question& question) : easy_(curl_easy_init()) {
  if (!easy_) throw std::bad_alloc{};
  set_request(question);
  set_connection(question);
}

HttpRequest::List HttpRequest::list_of(const std::string& line) {
  List list{curl_slist_append(nullptr, line.c_str())};
  if (!list) throw std::bad_alloc{};
  return list;
}

void HttpRequest::set_request(const Question& question) {
  const Spec& spec = question.spec;
  set(CURLOPT_URL, url_of(question).c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, spec.kind == Kind::https ? "https" : "http");
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set(CURLOPT_HTTP09_ALLOWED, 0L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_USERAGENT, "hanat");
  const auto& http = spec.of<HttpSpec>();
  if (http.method == "HEAD")
    set(CURLOPT_NOBODY, 1L);
  else if (http.method == "POST")
    set(CURLOPT_POSTFIELDS, "");
  else
    set(CURLOPT_CUSTOMREQUEST, http.method.c_str());
  if (spec.kind == Kind::http) {
    headers_ = list_of("Connection: close");
    set(CURLOPT_HTTPHEADER, headers_.get());
  }
}

void HttpRequest::set_connection(const Question& question) {
  const Spec& spec = question.spec;
  // Empty name and port before the address: whatever the URL says. An address needs no resolver.
  connect_to_ = list_of(fmt::format("::{}:{}", in_brackets(question.server.address), question.server.port));
  set(CURLOPT_CONNECT_TO, connect_to_.get());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROXY, ""); // the environment's proxy would answer for a dead server
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_MAXLIFETIME_CONN, longest_connection_s);
  set(CURLOPT_MAXAGE_CONN, longest_connection_s);
  if (spec.kind == Kind::http) {
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
  }
  const auto& http = spec.of<HttpSpec>();
  set(CURLOPT_SSL_VERIFYPEER, http.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, http.verify ? 2L : 0L);
  // curl shares the parsed authorities between connections only when there is no folder of them beside the bundle (which holds the same).
  set(CURLOPT_CAPATH, nullptr);
  set(CURLOPT_CA_CACHE_TIMEOUT, longest_authorities_s);
}

} // namespace hanat::probes
