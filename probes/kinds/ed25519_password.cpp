// RFC 8032, but that the password, of any length, takes the place of the 32 secret bytes: OpenSSL has the whole algorithm only, so the
// curve is libsodium's.
#include "probes/kinds/ed25519_password.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <sodium.h>

#include "probes/kinds/digest.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t scalar_size = 32; // bytes of a scalar, and of a point
using Part = std::array<unsigned char, scalar_size>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
std::string text_of_part(const Part& bytes) { return {bytes.begin(), bytes.end()}; }

/// A hash as a scalar.
Part reduced(std::string_view hash) {
  Part scalar{};
  crypto_core_ed25519_scalar_reduce(scalar.data(), bytes_of(hash));
  return scalar;
}

Part times_base(const Part& scalar) {
  Part point{};
  (void)crypto_scalarmult_ed25519_base_noclamp(point.data(), scalar.data()); // fails for zero alone
  return point;
}

} // namespace

std::string ed25519_proof(std::string_view password, std::string_view message) {
  const std::string expanded = sha512(password);
  if (expanded.size() != 2 * scalar_size) return {};
  Part secret{};
  std::copy_n(expanded.begin(), scalar_size, secret.begin());
  secret.front() &= 0xf8;
  secret.back() = static_cast<unsigned char>((secret.back() & 0x7fU) | 0x40U);
  const std::string own = text_of_part(times_base(secret));
  const Part once = reduced(sha512(expanded.substr(scalar_size) + std::string{message}));
  const std::string commitment = text_of_part(times_base(once));
  const Part challenge = reduced(sha512(commitment + own + std::string{message}));
  Part product{}, sum{};
  crypto_core_ed25519_scalar_mul(product.data(), challenge.data(), secret.data());
  crypto_core_ed25519_scalar_add(sum.data(), product.data(), once.data());
  sodium_memzero(secret.data(), secret.size());
  return commitment + text_of_part(sum);
}

} // namespace hanat::probes
