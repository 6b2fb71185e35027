// Reads the certificate through OpenSSL.
#include "probes/kinds/certificate.hpp"

#include <array>
#include <memory>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/asn1.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

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

namespace {

constexpr std::size_t most_names = 3;

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string address_text(const ASN1_OCTET_STRING* bytes) {
  const std::string raw = text_of(bytes);
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = raw.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
  if (raw.size() != sizeof(in_addr) && raw.size() != sizeof(in6_addr)) return "an address";
  return inet_ntop(family, raw.data(), text.data(), text.size()) == nullptr ? "an address" : text.data();
}

std::string subject_of(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return place < 0 ? "nobody" : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
}

} // namespace

std::vector<std::string> certificate_names(const X509* certificate) {
  struct Free {
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  };
  const std::unique_ptr<GENERAL_NAMES, Free> all{
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
  std::vector<std::string> names;
  for (int index = 0; all && index < sk_GENERAL_NAME_num(all.get()); ++index) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), index);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    if (names.size() == most_names) {
      names.emplace_back("...");
      break;
    }
    names.push_back(name->type == GEN_DNS ? text_of(name->d.dNSName) : address_text(name->d.iPAddress));
  }
  if (names.empty()) names.push_back(subject_of(certificate));
  return names;
}

std::string duration_of(std::chrono::seconds time) {
  const auto days = std::chrono::floor<std::chrono::days>(std::chrono::abs(time)).count();
  return days == 0 ? std::string{"less than a day"} : fmt::format("{} day{}", days, days == 1 ? "" : "s");
}

std::string expiry_text(std::chrono::seconds left) {
  return left.count() < 0 ? fmt::format("expired {} ago", duration_of(left)) : fmt::format("expires in {}", duration_of(left));
}

} // namespace hanat::probes
