// The groups of the key exchange that a client offers. OpenSSL sends a key for the first of them; a server of TLS 1.3 that does not take
// that one asks for another ClientHello: half as much work again, and one more way to the server and back. Not here: which group a server
// took the last time (tls_sessions).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

namespace hanat::probes {

class TlsGroups {
public:
  /// Those that this machine's OpenSSL offers with this context, in its order: read from a ClientHello, for OpenSSL does not tell.
  static TlsGroups of(SSL_CTX* context);

  /// The group of a complete handshake, if another one would have been better as the first; empty: none.
  std::string_view better(const SSL* connection) const;
  /// Offers the same with this one as the first. Before the handshake.
  void begin_with(SSL* connection, std::string_view group) const;

private:
  std::vector<std::string> names_; // OpenSSL's; empty: nothing could be read
};

} // namespace hanat::probes
