// The sentences about a gateway of a pair.
// Not here: the other sentences about the daemon itself (event_text_daemon).
#include <chrono>
#include <string>

#include <fmt/format.h>

#include "daemon/report/event_sentences.hpp"

namespace hanat::events {
namespace {

/// "after 1.2 s"
std::string after(Clock::duration time) { return fmt::format("after {:.1f} s", std::chrono::duration<double>(time).count()); }

std::string active_text(const RoleChanged& change) {
  const std::string address = change.address.text();
  if (!change.settled) return fmt::format("this gateway is active: it has {}", address);
  switch (*change.settled) {
  case Settled::told:
    return fmt::format("settled {} (hanatctl settled, by {}): this gateway is active, and packets that fit no connection are reset again",
                       after(change.after), change.by);
  case Settled::time_limit:
    return fmt::format("settled {}, the time limit ([pair] settle): this gateway is active, and packets that fit no connection are reset "
                       "again; hanatctl settled, in the script that keepalived runs, says so sooner",
                       after(change.after));
  case Settled::at_once: return fmt::format("this gateway is active: it has {}, and nothing is to settle", address);
  }
  return {};
}

} // namespace

std::string Sentences::operator()(const RoleChanged& change) const {
  switch (change.to) {
  case Role::alone: return "this gateway is no longer one of a pair: it acts alone";
  case Role::standby:
    return fmt::format("this gateway is standby: {} {}; servers are probed and targets loaded, and no connection is touched",
                       change.address.text(), change.from == Role::alone ? "is not on this machine" : "has left this machine");
  case Role::settling:
    return fmt::format("this gateway becomes active: {} has come; until the other gateway's connections are all here, packets that fit no "
                       "connection are dropped instead of reset",
                       change.address.text());
  case Role::active: return active_text(change);
  }
  return {};
}

std::string Sentences::operator()(const MasqueradeInPair& masquerade) const {
  return fmt::format(
      "{} has snat = \"masquerade\" in a pair: its connections have this gateway's own address and end when the other gateway "
      "takes over; name an address that moves with {} instead, as in snat = \"{}\"",
      masquerade.server, masquerade.address.text(), masquerade.address.text());
}

std::string Sentences::operator()(const TrackFileNotWritten& file) const {
  return fmt::format("the track file cannot be written: {}; keepalived goes by what it said last. See that its directory exists and that "
                     "hanatd may write there, then hanatctl reload",
                     file.error);
}

} // namespace hanat::events
