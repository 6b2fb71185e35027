// OpenSSL's texts of errors differ a little between its versions ("sslv3 alert", "ssl/tls alert"), and libcurl adds to them: parts of them
// are compared.
#include "probes/kinds/tls_text.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace hanat::probes {
namespace {

struct TextCause {
  std::string_view part, detail, remedy; // an empty detail: OpenSSL's text
};

// The first that occurs.
constexpr std::array known{
    // of the server's certificate
    TextCause{"certificate has expired", "certificate has expired", "renew it, and make the server load it"},
    TextCause{"certificate is not yet valid", "certificate is not yet valid", "compare the clocks of this machine and the server"},
    TextCause{"no alternative certificate subject name matches", "", "write the name that the certificate has as host"},
    TextCause{"does not match target host name", "", "write the name that the certificate has as host"},
    // what the server says of ours
    TextCause{"alert certificate expired", "the server says that our client certificate has expired", "renew the file that tls.cert names"},
    TextCause{"alert unknown ca", "the server does not trust the authority of our client certificate",
              "let that authority sign it which the server asks for"},
    TextCause{"alert bad certificate", "the server refuses our client certificate", "its log says why"},
    TextCause{"alert certificate unknown", "the server refuses our client certificate", "its log says why"},
    TextCause{"alert unsupported certificate", "the server refuses our client certificate", "is it one for clients?"},
    TextCause{"alert certificate revoked", "the server says that our client certificate is revoked", "renew the file that tls.cert names"},
    TextCause{"alert unrecognized name", "the server knows no such name", "write one that it knows as host, or as name in tls"},
    // no TLS at all
    TextCause{"wrong version number", "the server does not speak TLS on this port (wrong version number)",
              "probe without TLS, or another port"},
    TextCause{"packet length too long", "the server does not speak TLS on this port (packet length too long)",
              "probe without TLS, or another port"},
    TextCause{"alert handshake failure", "", "no cipher or curve that both allow, or no certificate for this name"},
};

constexpr std::array untrusted{"self-signed certificate", "self signed certificate", "unable to get local issuer certificate",
                               "unable to get issuer certificate", "unable to verify the first certificate"};

} // namespace

TlsCause wants_client_certificate() {
  return {.detail = "the server wants a client certificate", .remedy = "write tls = { cert = \"...\", key = \"...\" } into the probe"};
}

TlsCause untrusted_certificate(std::string detail) {
  return {.detail = std::move(detail), .remedy = "name the authority that signed it: tls = { ca = \"/path.pem\" }"};
}

TlsCause wrong_name(std::string detail) {
  return {.detail = std::move(detail), .remedy = "write the name that it has as host, or as name in tls"};
}

TlsCause explain_tls(std::string_view openssl_text, std::string_view least) {
  const auto has = [openssl_text](std::string_view part) { return openssl_text.find(part) != std::string_view::npos; };
  if (has("alert certificate required")) return wants_client_certificate();
  // OpenSSL 3.0 of Debian 12 completes a handshake of TLS 1.0 or 1.1 if the server signs nothing with SHA-1; that of Debian 13 refuses
  // both.
  for (const std::string_view old_version : {"unsupported protocol", "alert protocol version", "legacy sigalg disallowed or unsupported"})
    if (has(old_version)) {
      if (!least.empty())
        return {.detail = fmt::format("the server does not speak {} ({})", least, openssl_text), .remedy = "lower min in tls"};
      return {.detail = fmt::format("the server speaks TLS 1.1 at most ({})", openssl_text), .remedy = "let it speak TLS 1.2"};
    }
  if (const auto* found = std::ranges::find_if(known, [&](const TextCause& entry) { return has(entry.part); }); found != known.end())
    return {.detail = std::string{found->detail.empty() ? openssl_text : found->detail}, .remedy = std::string{found->remedy}};
  for (const std::string_view part : untrusted)
    if (has(part)) return untrusted_certificate(std::string{openssl_text});
  return {.detail = std::string{openssl_text}, .remedy = {}};
}

} // namespace hanat::probes
