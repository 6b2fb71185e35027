// How a client of MySQL and MariaDB proves its password, for each plugin of the server. Pure.
// Not here: the packets around it (mysql).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "probes/result.hpp"
#include "probes/secret.hpp"

namespace hanat::probes {

inline constexpr const char* native_password = "mysql_native_password";
inline constexpr const char* caching_sha2 = "caching_sha2_password";
inline constexpr const char* ed25519 = "client_ed25519";

class MysqlLogin {
public:
  MysqlLogin(std::string user, Secret password) : user_(std::move(user)), password_(std::move(password)) {}

  void secured() { secured_ = true; }
  bool has_password() const { return !password_.empty(); }
  /// Whether the plugin is one of these.
  static bool knows(std::string_view plugin);
  /// The proof for the server's random bytes; nullopt: `why_not()`.
  std::optional<std::string> proof(std::string_view plugin, std::string_view salt);
  /// The payload that answers the bytes of an authentication plugin (without their first byte, 1): empty: nothing is sent; nullopt:
  /// `why_not()`.
  std::optional<std::string> reply(std::string_view data);
  const Verdict& why_not() const { return why_not_; }
  /// What to do about an error of the server; empty: nothing is known.
  std::string_view remedy(unsigned code) const;

private:
  std::string user_;
  Secret password_;
  bool secured_ = false;
  Verdict why_not_;
};

} // namespace hanat::probes
