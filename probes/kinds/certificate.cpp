// Reads the certificate through OpenSSL.
#include "probes/kinds/certificate.hpp"

#include <memory>

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace hanat::probes {

std::optional<std::chrono::seconds> certificate_time_left(const SSL* connection) {
  struct Free {
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  const std::unique_ptr<X509, Free> certificate{SSL_get1_peer_certificate(connection)};
  int days = 0, seconds = 0;
  if (!certificate || ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate.get())) != 1) return std::nullopt;
  return std::chrono::days{days} + std::chrono::seconds{seconds};
}

std::string expiry_text(std::chrono::seconds left) {
  const auto days = std::chrono::floor<std::chrono::days>(std::chrono::abs(left)).count();
  const auto amount = days == 0 ? std::string{"less than a day"} : fmt::format("{} day{}", days, days == 1 ? "" : "s");
  return left.count() < 0 ? fmt::format("expired {} ago", amount) : fmt::format("expires in {}", amount);
}

} // namespace hanat::probes
