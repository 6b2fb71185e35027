// One TLS connection over two buffers in memory: bytes of the network in, plain bytes out, and the other way round; and what a handshake
// failed of. Not here: sockets (tcp_session), what the plain bytes mean (tls_client and the protocols).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/types.h>

#include "probes/kinds/tls_context.hpp"
#include "probes/kinds/tls_sessions.hpp"
#include "probes/result.hpp"

namespace hanat::probes {

class TlsStream {
public:
  /// Without a name of the options the certificate must have that of the server, or its address. Throws std::runtime_error with OpenSSL's
  /// message when OpenSSL fails.
  TlsStream(const TlsOptions& options, const Probe& probe);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  /// Resumes the session of this probe, and keeps the next one; begins with the group that the server took. Both outlive this object.
  void use_sessions(TlsSessions& sessions, const Probe& probe);

  enum class State : std::uint8_t { pending, open, closed, failed };
  /// Bytes of the network.
  void receive(std::string_view bytes);
  State handshake();
  /// Appends what has come. pending: more may come.
  State read(std::string& plain);
  void write(std::string_view plain);
  /// Says that nothing more is sent.
  void close();
  /// Appends what is to be sent to the network.
  void take_output(std::string& network);

  /// What it failed of, and what to do.
  Verdict failure() const;
  bool certificate_requested() const { return certificate_requested_; }
  /// Of the server's certificate.
  std::optional<std::chrono::seconds> certificate_left() const;
  bool resumed() const;
  /// The channel binding "tls-server-end-point" (RFC 5929); empty: the certificate's signature has no digest of its own.
  std::string end_point() const;

  /// For TlsContext: what all its connections have in common.
  static void prepare(SSL_CTX* context);
  static int on_verify(int valid, X509_STORE_CTX* verification);
  static int on_chain(X509_STORE_CTX* verification, void* unused);

private:
  struct FreeTls {
    void operator()(SSL* tls) const;
  };
  static TlsStream* of(const SSL* tls);
  static TlsStream* of(X509_STORE_CTX* verification);
  static int on_certificate_request(SSL* tls, X509** certificate, EVP_PKEY** key);
  static int on_session(SSL* tls, ssl_session_st* session);

  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<SSL, FreeTls> tls_;
  std::string name_;           // that the certificate must have
  std::string verify_failure_; // why the certificate is not accepted; empty: it is
  std::string verify_remedy_;
  unsigned long error_ = 0; // OpenSSL's, of the call that failed
  bool certificate_requested_ = false;
  TlsSessions* sessions_ = nullptr;
  const Probe* probe_ = nullptr;
};

} // namespace hanat::probes
