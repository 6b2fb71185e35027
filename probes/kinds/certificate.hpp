// When the certificate of a TLS connection expires. Not here: whether it is trusted (the TLS library checks that).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <openssl/types.h>

namespace hanat::probes {

/// Until the server's certificate expires, by the wall clock; negative: it has expired. nullopt: the server sent none.
std::optional<std::chrono::seconds> certificate_time_left(const SSL* connection);

/// Whom it is for: host names and addresses, the first few; without any, its subject's name.
std::vector<std::string> certificate_names(const X509* certificate);

/// "9 days", "less than a day"
std::string duration_of(std::chrono::seconds time);
/// "expires in 9 days", "expired 3 days ago"
std::string expiry_text(std::chrono::seconds left);

} // namespace hanat::probes
