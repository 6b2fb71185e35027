// Chains of certificates that OpenSSL has verified, so that the same chain for the same name is not verified at each handshake: a tenth of
// its work. What is remembered is never more than OpenSSL would say again: it is of one TlsContext, thus of one content of the authorities,
// of these very certificates, of one name, and of the time in which all certificates of the verified chain are valid. Not here: whether the
// server has the key of its certificate, which each handshake proves (OpenSSL).
#pragma once

#include <cstddef>
#include <ctime>
#include <map>
#include <mutex>
#include <string>

#include <openssl/types.h>

namespace hanat::probes {

class VerifiedChains {
public:
  /// What X509_verify_cert() says of the certificates that the server sent, for this name. Any thread.
  bool verify(X509_STORE_CTX* verification, const std::string& name);
  std::size_t count() const;

private:
  struct Valid {
    std::time_t from = 0, before = 0;
  };
  static std::string key_of(X509_STORE_CTX* verification, const std::string& name);
  static Valid validity_of(X509_STORE_CTX* verification);

  mutable std::mutex mutex_;
  std::map<std::string, Valid, std::less<>> chains_;
};

} // namespace hanat::probes
