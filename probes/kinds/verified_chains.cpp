// Keyed by the hashes of the certificates.
#include "probes/kinds/verified_chains.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

namespace hanat::probes {
namespace {

constexpr std::size_t most_chains = 4'096; // a hundred bytes each

bool append_hash(std::string& key, const X509* certificate) {
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr); // once: OpenSSL 3 takes longer to find it than to use it
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned length = 0;
  if (sha256 == nullptr || X509_digest(certificate, sha256, hash.data(), &length) != 1) return false;
  key.append(reinterpret_cast<const char*>(hash.data()), length);
  return true;
}

std::optional<std::time_t> moment_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  const std::time_t moment = timegm(&parts);
  return moment == -1 ? std::nullopt : std::optional{moment};
}

} // namespace

/// Empty: nothing can be remembered of it.
std::string VerifiedChains::key_of(X509_STORE_CTX* verification, const std::string& name) {
  const X509* certificate = X509_STORE_CTX_get0_cert(verification);
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(verification);
  std::string key = std::to_string(sk_X509_num(sent)) + ' '; // of hashes, behind which the name is
  if (certificate == nullptr || !append_hash(key, certificate)) return {};
  for (int index = 0; index < sk_X509_num(sent); ++index)
    if (!append_hash(key, sk_X509_value(sent, index))) return {};
  return key + name;
}

/// As OpenSSL compares: from the first moment on, up to the last one exclusively.
VerifiedChains::Valid VerifiedChains::validity_of(X509_STORE_CTX* verification) {
  Valid valid{.from = std::numeric_limits<std::time_t>::min(), .before = std::numeric_limits<std::time_t>::max()};
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(verification);
  if (sk_X509_num(chain) <= 0) return {};
  for (int index = 0; index < sk_X509_num(chain); ++index) {
    const X509* certificate = sk_X509_value(chain, index);
    const auto from = moment_of(X509_get0_notBefore(certificate)), before = moment_of(X509_get0_notAfter(certificate));
    if (!from || !before) return {};
    valid = {.from = std::max(valid.from, *from), .before = std::min(valid.before, *before)};
  }
  return valid;
}

bool VerifiedChains::verify(X509_STORE_CTX* verification, const std::string& name) {
  const std::string key = key_of(verification, name);
  const std::time_t now = std::time(nullptr);
  {
    const std::lock_guard lock{mutex_};
    const auto found = chains_.find(key);
    if (found != chains_.end() && found->second.from <= now && now < found->second.before) {
      X509_STORE_CTX_set_error(verification, X509_V_OK);
      return true;
    }
  }
  if (X509_verify_cert(verification) != 1 || X509_STORE_CTX_get_error(verification) != X509_V_OK) return false;
  if (key.empty()) return true;
  const Valid valid = validity_of(verification);
  const std::lock_guard lock{mutex_};
  if (chains_.size() >= most_chains) chains_.clear(); // certificates change rarely
  chains_[key] = valid;
  return true;
}

std::size_t VerifiedChains::count() const {
  const std::lock_guard lock{mutex_};
  return chains_.size();
}

} // namespace hanat::probes
