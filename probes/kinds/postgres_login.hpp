// How a client of PostgreSQL proves its password: SCRAM, with a channel binding over TLS; MD5; in the clear over TLS alone.
// Not here: the messages before and behind it (postgres), SCRAM itself (scram).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/kinds/protocol.hpp"
#include "probes/kinds/scram.hpp"

namespace hanat::probes {

/// A message of the protocol; type 0: one without a type, as the first.
std::string postgres_message(char type, std::string_view body);

class PostgresLogin {
public:
  PostgresLogin(std::string user, Secret password) : user_(std::move(user)), password_(std::move(password)) {}

  /// What follows is sent over TLS, with this channel binding; empty: without one.
  void secured(std::string end_point);
  /// The server's authentication message: its number, and what follows that.
  void on_request(std::uint32_t request, std::string_view rest, Step& step);
  void on_worked(Step& step);
  /// What to do about an error of the server; empty: nothing is known.
  std::string_view remedy(std::string_view state, std::string_view text) const;

private:
  void choose_mechanism(std::string_view offered, Step& step);
  void on_server_first(std::string_view message, Step& step);
  void send_password(std::string_view text, Step& step) const;

  std::string user_;
  Secret password_;
  std::string end_point_;
  bool secured_ = false;
  std::optional<Scram> scram_;
  bool proven_ = false; // the server has proven that it knows the password, too
};

} // namespace hanat::probes
