// Each plugin's arithmetic.
#include "probes/kinds/mysql_login.hpp"

#include <utility>

#include <fmt/format.h>

#include "probes/kinds/digest.hpp"
#include "probes/kinds/ed25519_password.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t salt_length = 20, ed25519_salt_length = 32;
constexpr const char* clear_password = "mysql_clear_password"; // PAM of MariaDB and of MySQL Enterprise

// What caching_sha2_password says.
constexpr std::string_view fast_done{"\x03", 1}, full_needed{"\x04", 1};

std::string native_proof(std::string_view password, std::string_view salt) {
  const std::string once = sha1(password);
  return bytes_xor(once, sha1(std::string{salt} + sha1(once)));
}

std::string sha2_proof(std::string_view password, std::string_view salt) {
  const std::string once = sha256(password);
  return bytes_xor(once, sha256(sha256(once) + std::string{salt}));
}

Verdict login_refused(std::string detail, std::string remedy) {
  return {.reason = Reason::wrong_answer, .detail = std::move(detail), .remedy = std::move(remedy)};
}

} // namespace

bool MysqlLogin::knows(std::string_view plugin) { return plugin == native_password || plugin == caching_sha2; }

std::optional<std::string> MysqlLogin::proof(std::string_view plugin, std::string_view salt) {
  if (plugin == ed25519 && salt.size() >= ed25519_salt_length)
    return ed25519_proof(password_.reveal(), salt.substr(0, ed25519_salt_length));
  salt = salt.substr(0, salt_length);
  if (plugin == native_password) return native_proof(password_.reveal(), salt);
  if (plugin == caching_sha2) return sha2_proof(password_.reveal(), salt);
  if (plugin == clear_password && secured_) return std::string{password_.reveal()} + '\0';
  if (plugin == clear_password)
    why_not_ = login_refused("the server wants the password in the clear", "write tls = true");
  else
    why_not_ = login_refused(fmt::format("the server wants the plugin {} for this user", plugin),
                             fmt::format("let the user log in by {}, {} or {}", caching_sha2, ed25519, native_password));
  return std::nullopt;
}

std::optional<std::string> MysqlLogin::reply(std::string_view data) {
  if (data == fast_done) return std::string{};
  if (data != full_needed) {
    why_not_ = {.reason = Reason::garbled, .detail = "unknown data of an authentication plugin"};
    return std::nullopt;
  }
  // The server's cache does not know this user yet: it needs the password itself, and keeps its hash. To a wrong password it says the same.
  if (secured_) return std::string{password_.reveal()} + '\0';
  why_not_ = login_refused("the password is wrong, or the server's cache lacks it (caching_sha2_password)", "write tls = true");
  return std::nullopt;
}

std::string_view MysqlLogin::remedy(unsigned code) const {
  switch (code) {
  case 1045: // access denied
  case 1698:
    if (!has_password()) return {};
    return secured_ ? "check user and password_file" : "check user and password_file, and whether the user must use TLS";
  case 1820: // must change the password
  case 1862: return "the password has expired: renew it (ALTER USER), and write it into password_file";
  case 3118: // MySQL
  case 4151: return "the user is locked: ALTER USER ... ACCOUNT UNLOCK";
  case 3159: return "the server takes nothing but TLS: write tls = true"; // require_secure_transport
  default: return {};
  }
}

} // namespace hanat::probes
