// OpenSSL's side of certificates: parsed once, shared by pointer.
#include "probes/kinds/tls_context.hpp"

#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probes/kinds/tls_stream.hpp"

namespace hanat::probes {
namespace {

using File = TlsMaterialError::File;

struct FreeParts {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class Part> using Owned = std::unique_ptr<Part, FreeParts>;

[[noreturn]] void fail_openssl() { throw std::runtime_error("TLS: " + openssl_error()); }

Owned<BIO> reading(const std::string& text) {
  Owned<BIO> bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
  if (!bio) fail_openssl();
  return bio;
}

/// Never asks the terminal for a passphrase.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

Owned<X509> next_certificate(BIO* bio) { return Owned<X509>{PEM_read_bio_X509_AUX(bio, nullptr, no_passphrase, nullptr)}; }

/// False: the text ends here; true: something in it is broken.
bool is_broken() { return ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE; }

void add_authorities(SSL_CTX* context, const std::string& pem) {
  const auto bio = reading(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  int count = 0;
  ERR_clear_error();
  while (const auto certificate = next_certificate(bio.get())) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) fail_openssl();
    ++count;
  }
  if (is_broken()) throw TlsMaterialError(File::ca, fmt::format("certificate {} of it is broken ({})", count + 1, openssl_error()));
  if (count == 0) throw TlsMaterialError(File::ca, "it has no certificate");
  ERR_clear_error();
}

void use_certificate(SSL_CTX* context, const std::string& pem) {
  const auto bio = reading(pem);
  ERR_clear_error();
  const auto certificate = next_certificate(bio.get());
  if (!certificate) throw TlsMaterialError(File::cert, is_broken() ? "its certificate is broken" : "it has no certificate");
  if (SSL_CTX_use_certificate(context, certificate.get()) != 1) throw TlsMaterialError(File::cert, openssl_error());
  while (const auto issuer = next_certificate(bio.get()))
    if (SSL_CTX_add1_chain_cert(context, issuer.get()) != 1) throw TlsMaterialError(File::cert, openssl_error());
  ERR_clear_error();
}

void use_key(SSL_CTX* context, const std::string& pem) {
  const auto bio = reading(pem);
  ERR_clear_error();
  const Owned<EVP_PKEY> key{PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)};
  if (!key) {
    const bool encrypted = pem.find("ENCRYPTED") != std::string::npos;
    throw TlsMaterialError(File::key, encrypted ? "the key has a passphrase: hanatd cannot ask for it; store the key without one, readable "
                                                  "for hanatd alone"
                                                : "it has no private key");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
    throw TlsMaterialError(File::key, "the key does not belong to the certificate");
}

/// The file of the system's authorities, as OpenSSL or libcurl finds it; where there is none, OpenSSL's directory of them.
std::string system_place() {
  const char* named = std::getenv(X509_get_default_cert_file_env()); // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  if (named != nullptr) return named;
  for (const char* file : {X509_get_default_cert_file(), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"})
    if (::access(file, R_OK) == 0) return file;
  return X509_get_default_cert_dir();
}

void add_system_authorities(SSL_CTX* context) {
  // Not the directory beside it, which has the same and is read when a certificate is looked for: on the loop, that is.
  if (SSL_CTX_load_verify_file(context, system_place().c_str()) == 1) return;
  ERR_clear_error();
  if (SSL_CTX_set_default_verify_paths(context) != 1) fail_openssl();
}

/// Changes when the file does.
std::string system_version() {
  std::string file = system_place();
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return file;
  return fmt::format("{} {} {} {}.{} {}.{}", file, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                     status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

std::string identity_of(const TlsMaterial& material) {
  std::string all = fmt::format("{} {}", material.verify, static_cast<int>(material.min));
  const std::string system = material.verify && material.ca.empty() ? system_version() : std::string{};
  for (const std::string* part : {&material.ca, &material.cert, &material.key, &system}) all += fmt::format("\n{} {}", part->size(), *part);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(all.data(), all.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) fail_openssl();
  OPENSSL_cleanse(all.data(), all.size());
  return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + length, ""));
}

int protocol_of(TlsVersion version) {
  switch (version) {
  case TlsVersion::any: return 0;
  case TlsVersion::tls12: return TLS1_2_VERSION;
  case TlsVersion::tls13: return TLS1_3_VERSION;
  }
  return 0;
}

void set_verification(SSL_CTX* context, const TlsMaterial& material) {
  // As libcurl: a trusted intermediate needs no root.
  X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_PARTIAL_CHAIN);
  if (!material.verify) { // the chain is not even built, which is half of a handshake's work
    SSL_CTX_set_cert_verify_callback(
        context, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    return;
  }
  if (material.ca.empty())
    add_system_authorities(context);
  else
    add_authorities(context, material.ca);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, TlsStream::on_verify);
  SSL_CTX_set_cert_verify_callback(context, TlsStream::on_chain, nullptr);
}

std::string first_certificate(std::string_view pem) {
  constexpr std::string_view begin = "-----BEGIN ", end = "-----END CERTIFICATE-----";
  const auto first = pem.find(begin), last = pem.find(end);
  if (first == std::string_view::npos || last == std::string_view::npos || last < first) return {};
  return std::string{pem.substr(first, last + end.size() - first)} + '\n';
}

} // namespace

std::string openssl_error() {
  const unsigned long error = ERR_peek_error();
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? fmt::format("OpenSSL error {:x}", error) : reason;
}

TlsContext::TlsContext(const TlsMaterial& material, std::string identity)
    : context_(SSL_CTX_new(TLS_client_method())), verify_(material.verify), has_certificate_(!material.cert.empty()), min_(material.min),
      identity_(std::move(identity)), marker_(first_certificate(material.ca) + first_certificate(material.cert)) {
  if (context_ == nullptr) fail_openssl();
  const std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* context) { SSL_CTX_free(context); })> guard{context_};
  ERR_clear_error();
  set_verification(context_, material);
  if (!material.ca.empty() && !material.verify) add_authorities(context_, material.ca); // so that a broken file is noticed
  if (!material.cert.empty()) {
    use_certificate(context_, material.cert);
    use_key(context_, material.key);
  }
  if (const int version = protocol_of(material.min); version != 0 && SSL_CTX_set_min_proto_version(context_, version) != 1) fail_openssl();
  SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
  TlsStream::prepare(context_);
  groups_ = TlsGroups::of(context_);
  SSL_CTX_up_ref(context_); // the guard gives one back
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

bool TlsContext::apply_to(SSL_CTX* other) const {
  if (verify_) SSL_CTX_set1_cert_store(other, SSL_CTX_get_cert_store(context_));
  if (const int version = protocol_of(min_); version != 0 && SSL_CTX_set_min_proto_version(other, version) != 1) return false;
  if (!has_certificate_) return true;
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context_, static_cast<void*>(&chain));
  return SSL_CTX_use_cert_and_key(other, SSL_CTX_get0_certificate(context_), SSL_CTX_get0_privatekey(context_), chain, 1) == 1;
}

std::shared_ptr<const TlsContext> TlsContext::make(const TlsMaterial& material) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const TlsContext>, std::less<>> known;
  std::string identity = identity_of(material);
  const std::lock_guard lock{mutex}; // also while the authorities are read: nobody reads them twice
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  auto& same = known[identity];
  auto context = same.lock();
  if (!context) same = context = std::make_shared<const TlsContext>(material, identity);
  return context;
}

std::shared_ptr<const TlsContext> context_of(const TlsOptions& options) {
  if (options.context) return options.context;
  thread_local std::array<std::shared_ptr<const TlsContext>, 2> held;
  auto& context = held[options.verify ? 1 : 0];
  context = TlsContext::make({.verify = options.verify, .min = options.min});
  return context;
}

} // namespace hanat::probes
