// OpenSSL over two memory BIOs.
#include "probes/kinds/tls_stream.hpp"

#include <array>
#include <climits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "nat/address.hpp"
#include "probes/kinds/certificate.hpp"
#include "probes/kinds/tls_text.hpp"

namespace hanat::probes {
namespace {

constexpr int app_data = 0; // OpenSSL's index for the application: here the TlsStream

[[noreturn]] void fail_stream() { throw std::runtime_error("TLS: " + openssl_error()); }

struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};

bool is_about_name(int error) { return error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH; }

std::string name_for(const TlsOptions& options, const Probe& probe) {
  if (!options.name.empty()) return options.name;
  return probe.name.empty() ? probe.server.address.text() : probe.name;
}

/// "certificate has expired", with the day, and whose it is.
std::string date_failure(int error, int depth, X509* certificate) {
  std::string text = X509_verify_cert_error_string(error);
  int days = 0, seconds = 0;
  const bool expired = error == X509_V_ERR_CERT_HAS_EXPIRED;
  const auto* moment = expired ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate);
  if (ASN1_TIME_diff(&days, &seconds, nullptr, moment) != 1) return text;
  const auto left = std::chrono::days{days} + std::chrono::seconds{seconds};
  const std::string when = expired ? expiry_text(left) : fmt::format("for {} more", duration_of(left));
  return fmt::format("{} ({}{})", text, depth == 0 ? "" : "that of its authority, ", when);
}

/// SSL_set_tlsext_host_name is a macro with a C cast.
void set_name(SSL* tls, const std::string& name) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(tls);
  if (Address::parse(name)) { // an address is checked, but not sent as SNI
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) != 1) fail_stream();
  } else if (SSL_ctrl(tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name.c_str())) != 1 ||
             X509_VERIFY_PARAM_set1_host(expected, name.c_str(), name.size()) != 1) {
    fail_stream();
  }
}

} // namespace

void TlsStream::FreeTls::operator()(SSL* tls) const { SSL_free(tls); }

TlsStream::TlsStream(const TlsOptions& options, const Probe& probe)
    : context_(context_of(options)), tls_(SSL_new(context_->get())), name_(name_for(options, probe)) {
  if (!tls_ || SSL_set_ex_data(tls_.get(), app_data, this) != 1) fail_stream();
  set_name(tls_.get(), name_);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(tls_.get(), in, out); // takes ownership of both, even if one is null
  if (in == nullptr || out == nullptr) fail_stream();
  SSL_set_connect_state(tls_.get());
}

TlsStream::~TlsStream() = default;

TlsStream* TlsStream::of(const SSL* tls) { return static_cast<TlsStream*>(SSL_get_ex_data(tls, app_data)); }

void TlsStream::prepare(SSL_CTX* context) {
  SSL_CTX_set_client_cert_cb(context, on_certificate_request);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_session);
}

void TlsStream::use_sessions(TlsSessions& sessions, const Probe& probe) {
  sessions_ = &sessions;
  probe_ = &probe;
  if (SSL_SESSION* session = sessions.of(probe, Clock::now())) SSL_set_session(tls_.get(), session);
  if (const std::string_view group = sessions.group_of(probe); !group.empty()) context_->groups().begin_with(tls_.get(), group);
}

/// OpenSSL asks only where the context has no certificate.
int TlsStream::on_certificate_request(SSL* tls, X509** /*certificate*/, EVP_PKEY** /*key*/) {
  of(tls)->certificate_requested_ = true;
  return 0; // there is none
}

int TlsStream::on_session(SSL* tls, SSL_SESSION* session) {
  TlsStream* self = of(tls);
  if (self == nullptr || self->sessions_ == nullptr) return 0;
  self->sessions_->keep(*self->probe_, session, SSL_session_reused(tls) == 0, Clock::now());
  return 1; // taken over
}

TlsStream* TlsStream::of(X509_STORE_CTX* verification) {
  const auto* tls = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  return tls == nullptr ? nullptr : of(tls);
}

int TlsStream::on_chain(X509_STORE_CTX* verification, void* /*unused*/) {
  const TlsStream* self = of(verification);
  return self != nullptr && self->context_->verified().verify(verification, self->name_) ? 1 : 0;
}

int TlsStream::on_verify(int valid, X509_STORE_CTX* verification) {
  if (valid == 1) return 1;
  TlsStream* self = of(verification);
  X509* certificate = X509_STORE_CTX_get_current_cert(verification);
  if (self == nullptr || certificate == nullptr) return 0;
  const int error = X509_STORE_CTX_get_error(verification);
  TlsCause cause = explain_tls(X509_verify_cert_error_string(error));
  if (is_about_name(error))
    cause = wrong_name(fmt::format("certificate is for {}, not for {}", fmt::join(certificate_names(certificate), ", "), self->name_));
  else if (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID)
    cause.detail = date_failure(error, X509_STORE_CTX_get_error_depth(verification), certificate);
  self->verify_failure_ = std::move(cause.detail);
  self->verify_remedy_ = std::move(cause.remedy);
  return 0;
}

void TlsStream::receive(std::string_view bytes) {
  if (!bytes.empty()) BIO_write(SSL_get_rbio(tls_.get()), bytes.data(), static_cast<int>(bytes.size()));
}

TlsStream::State TlsStream::handshake() {
  ERR_clear_error(); // the queue of this thread may hold errors of other code
  const int result = SSL_do_handshake(tls_.get());
  if (result == 1) {
    if (sessions_ != nullptr) sessions_->keep_group(*probe_, context_->groups().better(tls_.get()));
    return State::open;
  }
  if (SSL_get_error(tls_.get(), result) == SSL_ERROR_WANT_READ) return State::pending;
  error_ = ERR_peek_error();
  return State::failed;
}

TlsStream::State TlsStream::read(std::string& plain) {
  std::array<char, 4096> buffer; // NOLINT(*-member-init): SSL_read fills what is read of it
  ERR_clear_error();
  while (true) {
    const int got = SSL_read(tls_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (got > 0) {
      plain.append(buffer.data(), static_cast<std::size_t>(got));
      continue;
    }
    const int error = SSL_get_error(tls_.get(), got);
    if (error == SSL_ERROR_WANT_READ) return State::pending;
    if (error == SSL_ERROR_ZERO_RETURN) return State::closed;
    error_ = ERR_peek_error();
    return State::failed;
  }
}

void TlsStream::write(std::string_view plain) {
  if (!plain.empty()) SSL_write(tls_.get(), plain.data(), static_cast<int>(plain.size())); // into memory: never in part
}

void TlsStream::close() { SSL_shutdown(tls_.get()); }

void TlsStream::take_output(std::string& network) {
  BIO* out = SSL_get_wbio(tls_.get());
  char* bytes = nullptr;
  const long count = BIO_get_mem_data(out, &bytes);
  if (count > 0) network.append(bytes, static_cast<std::size_t>(count));
  (void)BIO_reset(out);
}

Verdict TlsStream::failure() const {
  if (sessions_ != nullptr) sessions_->forget(*probe_); // perhaps it was the session's fault
  const auto verdict = [](TlsCause cause) {
    return Verdict{.reason = Reason::tls_failed, .detail = std::move(cause.detail), .remedy = std::move(cause.remedy)};
  };
  if (!verify_failure_.empty()) return verdict({.detail = verify_failure_, .remedy = verify_remedy_});
  const int reason = ERR_GET_REASON(error_);
  // The alerts by which servers refuse a client without a certificate.
  for (const int alert :
       {SSL_AD_HANDSHAKE_FAILURE, SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_ACCESS_DENIED})
    if (certificate_requested_ && ERR_GET_LIB(error_) == ERR_LIB_SSL && reason == SSL_AD_REASON_OFFSET + alert)
      return verdict(wants_client_certificate());
  const char* text = ERR_reason_error_string(error_);
  const std::string_view least = context_->min() == TlsVersion::tls13 ? "TLS 1.3" : "";
  return verdict(explain_tls(text == nullptr ? fmt::format("OpenSSL error {:x}", error_) : std::string{text}, least));
}

std::optional<std::chrono::seconds> TlsStream::certificate_left() const { return certificate_time_left(tls_.get()); }

bool TlsStream::resumed() const { return SSL_session_reused(tls_.get()) == 1; }

std::string TlsStream::end_point() const {
  const std::unique_ptr<X509, FreeCertificate> certificate{SSL_get1_peer_certificate(tls_.get())};
  int digest = NID_undef, key = NID_undef;
  if (!certificate || X509_get_signature_info(certificate.get(), &digest, &key, nullptr, nullptr) != 1 || digest == NID_undef) return {};
  const bool weak = digest == NID_md5 || digest == NID_sha1; // RFC 5929: SHA-256 instead
  const EVP_MD* algorithm = weak ? EVP_sha256() : EVP_get_digestbynid(digest);
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned length = 0;
  if (algorithm == nullptr || X509_digest(certificate.get(), algorithm, hash.data(), &length) != 1) return {};
  return {hash.begin(), hash.begin() + length};
}

} // namespace hanat::probes
