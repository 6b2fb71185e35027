// A map with an age and a limit.
#include "probes/kinds/tls_sessions.hpp"

#include <chrono>

#include <openssl/ssl.h>

namespace hanat::probes {
namespace {

constexpr std::size_t most_sessions = 4'096;       // each holds the server's certificates: about 8 KiB
constexpr std::chrono::minutes longest_session{1}; // an expired or exchanged certificate is noticed at the next whole handshake

} // namespace

void TlsSessions::FreeSession::operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }

SSL_SESSION* TlsSessions::of(const Probe& probe, Clock::time_point now) {
  const auto found = sessions_.find(&probe);
  if (found == sessions_.end()) return nullptr;
  if (now - found->second.since < longest_session) return found->second.session.get();
  sessions_.erase(found);
  return nullptr;
}

void TlsSessions::keep(const Probe& probe, SSL_SESSION* session, bool whole, Clock::time_point now) {
  Kept fresh{.session = std::unique_ptr<SSL_SESSION, FreeSession>{session}, .since = now};
  const auto before = sessions_.find(&probe);
  if (before != sessions_.end()) {
    if (!whole) fresh.since = before->second.since;
    before->second = std::move(fresh);
  } else if (whole && sessions_.size() < most_sessions) {
    sessions_.emplace(&probe, std::move(fresh));
  }
}

std::string_view TlsSessions::group_of(const Probe& probe) const {
  const auto found = groups_.find(&probe);
  return found == groups_.end() ? std::string_view{} : found->second;
}

void TlsSessions::keep_group(const Probe& probe, std::string_view group) {
  if (group.empty())
    groups_.erase(&probe);
  else if (groups_.size() < most_sessions || groups_.contains(&probe))
    groups_.insert_or_assign(&probe, std::string{group});
}

void TlsSessions::forget(const Probe& probe) {
  sessions_.erase(&probe);
  groups_.erase(&probe);
}

} // namespace hanat::probes
