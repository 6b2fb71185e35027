// The options of one libcurl handle.
#include "probes/http_request.hpp"

#include <new>
#include <string>

#include "probes/grpc_answer.hpp"

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
  const Spec& spec = question.spec;
  const bool grpc = spec.kind == Kind::grpc;
  const std::string& host = grpc ? spec.of<GrpcSpec>().host : spec.of<HttpSpec>().host;
  const std::string path = grpc ? "/grpc.health.v1.Health/Check" : spec.of<HttpSpec>().path;
  const std::string authority = host.empty() ? fmt::format("{}:{}", in_brackets(question.server.address), question.server.port) : host;
  return fmt::format("{}://{}{}{}", asks_over_tls(spec) ? "https" : "http", authority, path.starts_with('/') ? "" : "/", path);
}

} // namespace

bool asks_over_tls(const Spec& spec) { return spec.kind == Kind::https || (spec.kind == Kind::grpc && spec.of<GrpcSpec>().tls); }
bool asks_http2(const Spec& spec) { return spec.kind == Kind::grpc || spec.of<HttpSpec>().http2; }

HttpRequest::HttpRequest(const Question& question) : easy_(curl_easy_init()) {
  if (!easy_) throw std::bad_alloc{};
  set_request(question);
  set_connection(question);
}

void HttpRequest::append(List& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc{};
  if (!list) list.reset(longer); // a list that was there grew at its end
}

void HttpRequest::set_request(const Question& question) {
  const Spec& spec = question.spec;
  set(CURLOPT_URL, url_of(question).c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, asks_over_tls(spec) ? "https" : "http");
  set(CURLOPT_HTTP09_ALLOWED, 0L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_USERAGENT, "hanat");
  if (spec.kind == Kind::grpc)
    set_grpc(spec.of<GrpcSpec>());
  else
    set_http(spec.kind, spec.of<HttpSpec>());
  set_version(asks_over_tls(spec), asks_http2(spec));
  if (headers_) set(CURLOPT_HTTPHEADER, headers_.get());
}

void HttpRequest::set_http(Kind kind, const HttpSpec& http) {
  if (http.method == "HEAD")
    set(CURLOPT_NOBODY, 1L);
  else if (http.method == "POST")
    set(CURLOPT_POSTFIELDS, "");
  else
    set(CURLOPT_CUSTOMREQUEST, http.method.c_str());
  if (kind == Kind::http && !http.http2) append(headers_, "Connection: close"); // HTTP/2 has no such header
  for (const std::string& line : http.headers) append(headers_, line);
}

void HttpRequest::set_grpc(const GrpcSpec& grpc) {
  const std::string request = grpc_request(grpc);
  set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.size()));
  set(CURLOPT_COPYPOSTFIELDS, request.data());
  append(headers_, "Content-Type: application/grpc");
  append(headers_, "TE: trailers");
}

void HttpRequest::set_version(bool tls, bool http2) {
  if (!http2) return set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  if (!tls) return set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE});
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_2TLS});
  // HTTP/2 wants no less. Said here, it also keeps curl from asking on a kept HTTP/1.1 connection of another probe: only connections with
  // the same TLS options are shared.
  set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
}

void HttpRequest::set_connection(const Question& question) {
  const Spec& spec = question.spec;
  // Empty name and port before the address: whatever the URL says. An address needs no resolver.
  append(connect_to_, fmt::format("::{}:{}", in_brackets(question.server.address), question.server.port));
  set(CURLOPT_CONNECT_TO, connect_to_.get());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROXY, ""); // the environment's proxy would answer for a dead server
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_MAXLIFETIME_CONN, longest_connection_s);
  set(CURLOPT_MAXAGE_CONN, longest_connection_s);
  if (!asks_over_tls(spec)) {
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
  }
  const bool verify = spec.kind == Kind::grpc ? spec.of<GrpcSpec>().verify : spec.of<HttpSpec>().verify;
  set(CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  // curl shares the parsed authorities between connections only when there is no folder of them beside the bundle (which holds the same).
  set(CURLOPT_CAPATH, nullptr);
  set(CURLOPT_CA_CACHE_TIMEOUT, longest_authorities_s);
}

} // namespace hanat::probes
