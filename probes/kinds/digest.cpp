// Each algorithm is looked up once: OpenSSL 3 takes longer to find one than to use it.
#include "probes/kinds/digest.hpp"

#include <array>
#include <stdexcept>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace hanat::probes {
namespace {

std::string hash_of(const EVP_MD* algorithm, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned length = 0;
  if (algorithm == nullptr || EVP_Digest(bytes.data(), bytes.size(), hash.data(), &length, algorithm, nullptr) != 1) return {};
  return {hash.begin(), hash.begin() + length};
}

EVP_MD* fetched(const char* name) { return EVP_MD_fetch(nullptr, name, nullptr); } // for as long as the process runs

} // namespace

std::string sha256(std::string_view bytes) {
  static const EVP_MD* const algorithm = fetched("SHA256");
  return hash_of(algorithm, bytes);
}

std::string sha512(std::string_view bytes) {
  static const EVP_MD* const algorithm = fetched("SHA512");
  return hash_of(algorithm, bytes);
}

std::string sha1(std::string_view bytes) {
  static const EVP_MD* const algorithm = fetched("SHA1");
  return hash_of(algorithm, bytes);
}

std::string md5_hex(std::string_view bytes) {
  static const EVP_MD* const algorithm = fetched("MD5");
  const std::string hash = hash_of(algorithm, bytes);
  std::string text;
  for (const char byte : hash) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  constexpr std::size_t block = 64;
  std::string padded{key.size() > block ? sha256(key) : std::string{key}};
  padded.resize(block, '\0');
  const auto with = [&](char pad) { return bytes_xor(padded, std::string(block, pad)); };
  return sha256(with('\x5c') + sha256(with('\x36') + std::string{bytes}));
}

std::string bytes_xor(std::string_view one, std::string_view other) {
  std::string result{one};
  for (std::size_t i = 0; i < result.size() && i < other.size(); ++i) result[i] = static_cast<char>(result[i] ^ other[i]);
  return result;
}

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0'); // OpenSSL adds a zero byte
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  const std::size_t padded = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0; // which OpenSSL counts as zero bytes
  if (text.size() % 4 != 0 || text.substr(0, text.size() - padded).find_first_of("= \t\r\n") != std::string_view::npos) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(length) - padded);
  return bytes;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) throw std::runtime_error("no random bytes");
  return bytes;
}

} // namespace hanat::probes
