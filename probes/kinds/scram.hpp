// SCRAM-SHA-256 (RFC 5802, 7677), the client's side: what to send, and whether the server knows the password, too. The keys that cost
// milliseconds to compute are computed once for a password and a server's salt. Pure but for that memory.
// Not here: the messages around it (postgres).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "probes/secret.hpp"

namespace hanat::probes {

class Scram {
public:
  /// `end_point`: the channel binding "tls-server-end-point"; empty: there is none. `bound`: the server offers to use it. `nonce`:
  /// printable and never the same; empty: random.
  Scram(Secret password, std::string end_point, bool bound, std::string nonce = {});

  /// "SCRAM-SHA-256-PLUS" with a channel binding.
  std::string_view mechanism() const;
  std::string first_message() const;

  /// The server's first message. Returns what is wrong with it; empty: nothing.
  std::string on_server_first(std::string_view message);
  /// What has to be computed for final_message(), on any thread; null: it is known already.
  std::function<void()> work() const;
  /// After work(). nullopt: that failed.
  std::optional<std::string> final_message();
  /// The server's last message proves that it knows the password.
  bool verify(std::string_view message) const;

  struct Keys; // of the client and the server

private:
  std::string gs2_header() const;

  Secret password_;
  std::string end_point_;
  bool bound_;
  std::string nonce_;
  std::string server_first_, server_nonce_, salt_;
  unsigned iterations_ = 0;
  std::shared_ptr<Keys> keys_;
  std::string server_signature_;
};

} // namespace hanat::probes
