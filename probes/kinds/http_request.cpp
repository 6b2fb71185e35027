// The options of one libcurl handle.
#include "probes/kinds/http_request.hpp"

#include <algorithm>
#include <new>
#include <string>
#include <string_view>

#include "probes/kinds/grpc_answer.hpp"
#include "probes/kinds/tls_context.hpp"

namespace hanat::probes {
namespace {

// With `verify`, an expired certificate is noticed at the next handshake: no connection is older than this.
constexpr long longest_connection_s = 60;

std::string in_brackets(const Address& address) {
  return address.family() == Family::ipv6 ? fmt::format("[{}]", address.text()) : address.text();
}

/// Methods of which servers expect a Content-Length, be it 0.
bool has_length(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

bool is_content_type(const std::string& header) {
  constexpr std::string_view name = "content-type:";
  return header.size() >= name.size() && std::equal(name.begin(), name.end(), header.begin(), [](char small, char c) {
           return small == (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
         });
}

/// The URL gives Host header and SNI; CURLOPT_CONNECT_TO gives the address to connect to.
std::string url_of(const Probe& probe) {
  const ProbeSpec& spec = probe.spec;
  const bool grpc = spec.kind == Kind::grpc;
  const std::string& host = grpc ? spec.of<GrpcSpec>().host : spec.of<HttpSpec>().host;
  const std::string path = grpc ? "/grpc.health.v1.Health/Check" : spec.of<HttpSpec>().path;
  const std::string own = probe.name.empty() ? in_brackets(probe.server.address) : probe.name;
  const std::string authority = host.empty() ? fmt::format("{}:{}", own, probe.server.port) : host;
  return fmt::format("{}://{}{}{}", uses_tls(spec) ? "https" : "http", authority, path.starts_with('/') ? "" : "/", path);
}

} // namespace

bool uses_tls(const ProbeSpec& spec) { return spec.kind == Kind::https || (spec.kind == Kind::grpc && spec.of<GrpcSpec>().tls); }
bool uses_http2(const ProbeSpec& spec) { return spec.kind == Kind::grpc || spec.of<HttpSpec>().http2; }

HttpRequest::HttpRequest(const Probe& probe) : easy_(curl_easy_init()) {
  if (!easy_) throw std::bad_alloc{};
  set_request(probe);
  set_connection(probe);
}

void HttpRequest::append(List& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc{};
  if (!list) list.reset(longer); // an existing list keeps its head
}

void HttpRequest::set_request(const Probe& probe) {
  const ProbeSpec& spec = probe.spec;
  set(CURLOPT_URL, url_of(probe).c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_PROTOCOLS_STR, uses_tls(spec) ? "https" : "http");
  set(CURLOPT_HTTP09_ALLOWED, 0L);
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_USERAGENT, "hanat");
  if (spec.kind == Kind::grpc)
    set_grpc(spec.of<GrpcSpec>());
  else
    set_http(spec.kind, spec.of<HttpSpec>());
  set_version(uses_tls(spec), uses_http2(spec));
  if (headers_) set(CURLOPT_HTTPHEADER, headers_.get());
}

void HttpRequest::set_http(Kind kind, const HttpSpec& http) {
  if (http.method == "HEAD")
    set(CURLOPT_NOBODY, 1L);
  else if (http.method != "GET")
    set(CURLOPT_CUSTOMREQUEST, http.method.c_str());
  if (kind == Kind::http && !http.http2) append(headers_, "Connection: close"); // HTTP/2 has no such header
  for (const std::string& line : http.headers) append(headers_, line);
  if (!http.request_body.empty() || has_length(http.method)) set_body(http);
}

/// curl has defaults for both headers, which it leaves out for one without a value.
void HttpRequest::set_body(const HttpSpec& http) {
  set(CURLOPT_POSTFIELDSIZE, static_cast<long>(http.request_body.size()));
  set(CURLOPT_COPYPOSTFIELDS, http.request_body.data());
  append(headers_, "Expect:"); // no "100-continue", which costs a round trip
  if (std::ranges::none_of(http.headers, is_content_type)) append(headers_, "Content-Type:");
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
  // The minimum for HTTP/2. It also keeps curl from reusing an HTTP/1.1 connection of another probe: only connections with the same TLS
  // options are shared.
  set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
}

void HttpRequest::set_connection(const Probe& probe) {
  const ProbeSpec& spec = probe.spec;
  // Empty name and port before the address: whatever the URL says. An address needs no resolver.
  append(connect_to_, fmt::format("::{}:{}", in_brackets(probe.server.address), probe.server.port));
  set(CURLOPT_CONNECT_TO, connect_to_.get());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROXY, ""); // a proxy from the environment would reply for a dead server
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_MAXLIFETIME_CONN, longest_connection_s);
  set(CURLOPT_MAXAGE_CONN, longest_connection_s);
  if (!uses_tls(spec)) {
    set(CURLOPT_FRESH_CONNECT, 1L);
    set(CURLOPT_FORBID_REUSE, 1L);
  }
  if (uses_tls(spec)) set_tls(spec);
}

void HttpRequest::set_tls(const ProbeSpec& spec) {
  const bool verify = spec.kind == Kind::grpc ? spec.of<GrpcSpec>().verify : spec.of<HttpSpec>().verify;
  set(CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  // The authorities are those of the context: they were read with the configuration, and no probe reads them again.
  set(CURLOPT_CAPATH, nullptr);
  set(CURLOPT_CAINFO, nullptr);
  context_ = context_of(spec.tls.get() == nullptr ? TlsOptions{.verify = verify} : *spec.tls.get());
  set(CURLOPT_SSL_CTX_DATA, const_cast<void*>(static_cast<const void*>(context_.get())));
  set(
      CURLOPT_SSL_CTX_FUNCTION, +[](CURL*, void* made, void* context) -> CURLcode {
        return static_cast<const TlsContext*>(context)->apply_to(static_cast<SSL_CTX*>(made)) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
      });
  if (context_->marker().empty()) return;
  // A connection is reused only for the same options, and this is the one that tells contexts apart.
  curl_blob marker{.data = const_cast<char*>(context_->marker().data()), .len = context_->marker().size(), .flags = CURL_BLOB_COPY};
  set(CURLOPT_CAINFO_BLOB, &marker);
}

} // namespace hanat::probes
