// How long the certificate of a TLS connection is still good. Not here: whether it is trusted (the TLS library says that).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <openssl/types.h>

namespace hanat::probes {

/// Until the end of the server's certificate by the wall clock; negative: it has ended. nullopt: the server showed none.
std::optional<std::chrono::seconds> certificate_time_left(const SSL* connection);

/// "ends in 9 days", "ended 3 days ago"
std::string certificate_words(std::chrono::seconds left);

} // namespace hanat::probes
