// Words for failed TLS handshakes. Pure. Not here: the handshake itself (tls_stream, http).
#pragma once

#include <string>
#include <string_view>

namespace hanat::probes {

/// What a handshake failed of, and what to do; both may hold text of the server.
struct TlsCause {
  std::string detail, remedy;
};

TlsCause wants_client_certificate();
TlsCause untrusted_certificate(std::string detail);
TlsCause wrong_name(std::string detail);

/// OpenSSL's text of an error, with the cause where the text does not name it. `least`: "TLS 1.3" where the probe demands it.
TlsCause explain_tls(std::string_view openssl_text, std::string_view least = {});

} // namespace hanat::probes
