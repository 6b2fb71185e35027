// The TLS session of each probe's last handshake, so that the next one is a third of the work; and the group of the key exchange, where the
// server did not take OpenSSL's first one. Not here: the handshake (tls_stream), which groups there are (tls_groups).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "nat/clock.hpp"

struct ssl_session_st; // OpenSSL's SSL_SESSION

namespace hanat::probes {

struct Probe;

class TlsSessions {
public:
  /// To resume, for a probe; null: do a whole handshake. With `verify` a session carries its verdict along: none is older than a minute.
  ssl_session_st* of(const Probe& probe, Clock::time_point now);
  /// Takes the session over. `whole`: of a whole handshake; otherwise its age counts from that of the one before.
  void keep(const Probe& probe, ssl_session_st* session, bool whole, Clock::time_point now);
  /// To begin with; empty: with OpenSSL's first one.
  std::string_view group_of(const Probe& probe) const;
  void keep_group(const Probe& probe, std::string_view group); // empty: none
  /// The next handshake is a whole one; also when the probe is removed.
  void forget(const Probe& probe);
  std::size_t count() const { return sessions_.size(); }

private:
  struct FreeSession {
    void operator()(ssl_session_st* session) const;
  };
  struct Kept {
    std::unique_ptr<ssl_session_st, FreeSession> session;
    Clock::time_point since;
  };
  std::unordered_map<const Probe*, Kept> sessions_; // by the identity of a probe that is run repeatedly
  std::unordered_map<const Probe*, std::string> groups_;
};

} // namespace hanat::probes
