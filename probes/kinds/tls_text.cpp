// OpenSSL's texts of errors differ a little between its versions ("sslv3 alert", "ssl/tls alert"), and libcurl adds to them: parts of them
// are compared.
#include "probes/kinds/tls_text.hpp"

#include <fmt/format.h>

namespace hanat::probes {

std::string explain_tls(std::string_view openssl_text) {
  const auto has = [openssl_text](std::string_view part) { return openssl_text.find(part) != std::string_view::npos; };
  if (has("alert certificate required")) return std::string{wants_client_certificate};
  // OpenSSL 3.0 of Debian 12 completes a handshake of TLS 1.0 or 1.1 if the server signs nothing with SHA-1; that of Debian 13 refuses
  // both.
  for (const std::string_view old_version : {"unsupported protocol", "alert protocol version", "legacy sigalg disallowed or unsupported"})
    if (has(old_version)) return fmt::format("the server speaks TLS 1.1 at most ({})", openssl_text);
  return std::string{openssl_text};
}

} // namespace hanat::probes
