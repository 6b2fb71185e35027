// The TLS session of each probe's last handshake, so that the next one is a third of the work.
// Not here: the handshake (tls_stream).
#pragma once

#include <cstddef>
#include <memory>
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
  /// The next handshake is a whole one; also when the probe is removed.
  void forget(const Probe& probe) { sessions_.erase(&probe); }
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
};

} // namespace hanat::probes
