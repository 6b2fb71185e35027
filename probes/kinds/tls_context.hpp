// One SSL_CTX for all probes with the same TLS settings and the same content of their files. It is made where the configuration is read:
// that reads the system's authorities, and no probe waits for a file.
// Not here: one connection (tls_stream), reading `ca`, `cert` and `key` (daemon/config/credential_files).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <openssl/types.h>

#include "probes/kinds/tls_groups.hpp"
#include "probes/kinds/verified_chains.hpp"
#include "probes/spec.hpp"

namespace hanat::probes {

/// What a context is made of. Text in PEM format; empty: the system's authorities, no certificate of ours.
struct TlsMaterial {
  bool verify = false;
  TlsVersion min = TlsVersion::any;
  std::string ca = {}, cert = {}, key = {};
};

/// A file that is not what it should be: which one, and why, with the remedy.
class TlsMaterialError : public std::runtime_error {
public:
  enum class File : std::uint8_t { ca, cert, key };
  TlsMaterialError(File file, const std::string& why) : std::runtime_error(why), file_(file) {}
  File file() const { return file_; }

private:
  File file_;
};

class TlsContext {
public:
  /// The same for the same material, as long as somebody holds it. Reads the system's authorities if they are needed, again when their file
  /// has changed. Any thread. Throws TlsMaterialError, and std::runtime_error with OpenSSL's message.
  static std::shared_ptr<const TlsContext> make(const TlsMaterial& material);

  TlsContext(const TlsMaterial& material, std::string identity);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  SSL_CTX* get() const { return context_; }
  bool verifies() const { return verify_; }
  bool has_certificate() const { return has_certificate_; }
  TlsVersion min() const { return min_; }
  /// Gives a context of libcurl the same authorities, certificate and lowest version. False: OpenSSL fails.
  bool apply_to(SSL_CTX* other) const;
  /// The first certificate of each file, in PEM format: by it libcurl tells connections apart. Empty: without files.
  const std::string& marker() const { return marker_; }
  const TlsGroups& groups() const { return groups_; }
  VerifiedChains& verified() const { return verified_; }
  /// A hash of the material: the same after a restart.
  const std::string& identity() const { return identity_; }

private:
  SSL_CTX* context_;
  bool verify_, has_certificate_;
  TlsVersion min_;
  std::string identity_, marker_;
  TlsGroups groups_;
  mutable VerifiedChains verified_; // a memory only
};

/// The context of the options, or one without files.
std::shared_ptr<const TlsContext> context_of(const TlsOptions& options);

/// "a reason of OpenSSL": the oldest of this thread's queue.
std::string openssl_error();

} // namespace hanat::probes
