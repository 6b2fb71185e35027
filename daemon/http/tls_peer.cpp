// The verification of GnuTLS, and its result in words.
#include "daemon/http/tls_peer.hpp"

#include <fmt/format.h>

namespace hanat {
namespace {

std::string reason_of(unsigned status, const Address& address) {
  if ((status & GNUTLS_CERT_EXPIRED) != 0) return "its certificate has expired";
  if ((status & GNUTLS_CERT_NOT_ACTIVATED) != 0) return "its certificate is not valid yet: compare the clocks of both gateways";
  if ((status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA)) != 0) return "its certificate is not of the authority in `ca`";
  if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0)
    return fmt::format("its certificate does not name {0}: it needs the subject alternative name IP:{0}", address.text());
  return "its certificate is not valid";
}

} // namespace

std::optional<std::string> refuse_peer(gnutls_session_t session, const Address& address) {
  unsigned status = 0;
  const std::string name = address.text();
  const int result = gnutls_certificate_verify_peers3(session, name.c_str(), &status);
  if (result == GNUTLS_E_NO_CERTIFICATE_FOUND) return "it shows no certificate: set `cert` and `key` there";
  if (result < 0) return fmt::format("its certificate cannot be verified: {}", gnutls_strerror(result));
  if (status != 0) return reason_of(status, address);
  return std::nullopt;
}

} // namespace hanat
