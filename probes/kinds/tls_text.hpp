// Words for failed TLS handshakes. Pure. Not here: the handshake itself (tls, http).
#pragma once

#include <string>
#include <string_view>

namespace hanat::probes {

inline constexpr std::string_view wants_client_certificate = "the server wants a client certificate";

/// OpenSSL's text of an error, with the cause where the text does not name it.
std::string explain_tls(std::string_view openssl_text);

} // namespace hanat::probes
