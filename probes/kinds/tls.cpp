// Kind tls: OpenSSL's handshake over two buffers in memory, and when the certificate expires. Not here: protocols above TLS (http).
#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "probes/kinds/certificate.hpp"
#include "probes/kinds/protocol.hpp"
#include "probes/kinds/tls_text.hpp"

namespace hanat::probes {
namespace {

struct FreeTls {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* tls) const { SSL_free(tls); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Context = std::unique_ptr<SSL_CTX, FreeTls>;

constexpr std::size_t longest_handshake = std::size_t{256} << 10; // OpenSSL's own limit for a chain is 100 KiB
constexpr std::chrono::hours context_life{1};                     // then the system's CA certificates are read again

std::string error_text(unsigned long error) {
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? fmt::format("OpenSSL error {:x}", error) : reason;
}

[[noreturn]] void fail_tls() { throw std::runtime_error("TLS: " + error_text(ERR_get_error())); }

constexpr int app_data = 0; // OpenSSL's index for the application: here a bool, whether the server requested a certificate

int on_certificate_request(SSL* tls, X509** /*certificate*/, EVP_PKEY** /*key*/) {
  *static_cast<bool*>(SSL_get_ex_data(tls, app_data)) = true;
  return 0; // there is none
}

Context make_context(bool verify) {
  ERR_clear_error();
  Context context{SSL_CTX_new(TLS_client_method())};
  if (!context || (verify && SSL_CTX_set_default_verify_paths(context.get()) != 1)) fail_tls();
  SSL_CTX_set_verify(context.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()),
                              X509_V_FLAG_PARTIAL_CHAIN); // as libcurl: a trusted intermediate needs no root
  SSL_CTX_set_client_cert_cb(context.get(), on_certificate_request);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF); // every probe is a full handshake
  return context;
}

/// Making a context takes a millisecond or more, so the loop's thread caches them.
SSL_CTX* context_for(bool verify) {
  struct Cached {
    Context context;
    Clock::time_point made;
  };
  thread_local std::array<Cached, 2> cache;
  Cached& cached = cache[verify ? 1 : 0];
  const auto now = Clock::now();
  if (!cached.context || now - cached.made > context_life) cached = {.context = make_context(verify), .made = now};
  return cached.context.get();
}

class Tls final : public ProtocolClient {
public:
  Tls(const TlsSpec& spec, const Address& server)
      : ProtocolClient(longest_handshake), expires_within_(spec.expires_within), tls_(SSL_new(context_for(spec.verify))) {
    if (!tls_ || SSL_set_ex_data(tls_.get(), app_data, &certificate_requested_) != 1) fail_tls();
    set_name(spec.host.empty() ? server.text() : spec.host);
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(tls_.get(), in, out); // takes ownership of both, even if one is null
    if (in == nullptr || out == nullptr) fail_tls();
    SSL_set_connect_state(tls_.get());
  }

  Step begin() override { return handshake(); }
  bool closes_with_fin() const override { return true; } // many servers log an aborted handshake
  std::string_view stage() const override {
    return certificate_requested_ ? "TLS handshake incomplete, the server asked for a client certificate"
                                  : "connected, TLS handshake incomplete";
  }

private:
  /// SSL_set_tlsext_host_name is a macro with a C cast.
  bool set_sni(const std::string& name) {
    return SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name.c_str())) == 1;
  }

  void set_name(const std::string& name) {
    X509_VERIFY_PARAM* expected = SSL_get0_param(tls_.get());
    if (Address::parse(name)) { // an address is checked, but not sent as SNI
      if (X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) != 1) fail_tls();
    } else if (!set_sni(name) || X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size()) != 1) {
      fail_tls();
    }
  }

  Step read(std::string_view& unread) override {
    BIO_write(SSL_get_rbio(tls_.get()), unread.data(), static_cast<int>(unread.size()));
    unread = {};
    return handshake();
  }

  Step handshake() {
    ERR_clear_error(); // the queue of this thread may hold errors of other code
    Step step;
    const int result = SSL_do_handshake(tls_.get());
    if (result == 1)
      step.verdict = judge_certificate();
    else if (SSL_get_error(tls_.get(), result) != SSL_ERROR_WANT_READ)
      step.verdict = Verdict{Reason::tls_failed, failure()};
    if (result == 1) SSL_shutdown(tls_.get()); // sends close_notify
    take_output(step.send);
    return step;
  }

  /// Without `verify` there is a result of the verification, too, which ends nothing.
  std::string failure() const {
    const unsigned long error = ERR_peek_error();
    const int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
      return X509_verify_cert_error_string(SSL_get_verify_result(tls_.get()));
    const bool alert = ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET;
    if (alert && certificate_requested_) return std::string{wants_client_certificate};
    return explain_tls(error_text(error));
  }

  Verdict judge_certificate() const {
    const auto left = certificate_time_left(tls_.get());
    if (expires_within_ == std::chrono::days::zero()) return {.certificate_left = left};
    if (!left) return {Reason::tls_failed, "no certificate with an expiry date"};
    if (*left > expires_within_) return {.certificate_left = left};
    return {Reason::certificate_expires, expiry_text(*left), left};
  }

  void take_output(std::string& send) const {
    BIO* out = SSL_get_wbio(tls_.get());
    char* bytes = nullptr;
    const long count = BIO_get_mem_data(out, &bytes);
    if (count > 0) send.append(bytes, static_cast<std::size_t>(count));
    (void)BIO_reset(out);
  }

  std::chrono::days expires_within_;
  bool certificate_requested_ = false;
  std::unique_ptr<SSL, FreeTls> tls_;
};

} // namespace

std::unique_ptr<ProtocolClient> tls(const TlsSpec& spec, const Address& server) { return std::make_unique<Tls>(spec, server); }

} // namespace hanat::probes
