// Hashes and base64 as strings of bytes, by OpenSSL. Not here: what is hashed (scram, postgres, mysql).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace hanat::probes {

/// Empty where this OpenSSL refuses the hash, as MD5 under FIPS.
std::string sha256(std::string_view bytes);
std::string sha512(std::string_view bytes);
std::string sha1(std::string_view bytes);
std::string md5_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);
/// `one` and `other` of the same length.
std::string bytes_xor(std::string_view one, std::string_view other);

std::string to_base64(std::string_view bytes);
/// nullopt: it is no base64.
std::optional<std::string> from_base64(std::string_view text);

std::string random_bytes(std::size_t count);

} // namespace hanat::probes
