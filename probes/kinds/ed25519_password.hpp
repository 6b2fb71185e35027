// What proves a password to MariaDB's plugin client_ed25519. Pure. Not here: the other plugins (mysql_login).
#pragma once

#include <string>
#include <string_view>

namespace hanat::probes {

/// The signature of `message` by the key that the password stands for; empty: this machine's OpenSSL has no SHA-512.
std::string ed25519_proof(std::string_view password, std::string_view message);

} // namespace hanat::probes
