// What is known of servers and does not move the traffic, or not yet, as values. Not here: all other events (event), their sentences
// (event_text_doubt).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/report/server_name.hpp"
#include "nat/clock.hpp"
#include "probes/result.hpp"

namespace hanat::events {

/// A server keeps losing the traffic soon after it got it.
struct Flapping {
  ServerName server;
  unsigned times = 0;    // not forgiven yet
  Clock::duration wait;  // so long it must be up next time
  bool observed = false; // mode observe: it would have lost it
  bool operator==(const Flapping&) const = default;
};
/// All of it is forgiven.
struct FlappingEnded {
  ServerName server;
  bool operator==(const FlappingEnded&) const = default;
};
/// No server answers, and that may be this machine's own failure.
struct OutageDoubted {
  ServerName target;
  std::optional<Clock::duration> lasts; // nullopt: as long as the witness is silent, too
  bool common = false;                  // several fell silent together
  bool refuses_new = false;
  bool observed = false; // mode observe: nothing is kept or refused
  bool operator==(const OutageDoubted&) const = default;
};
struct OutageDoubtEnded {
  enum class End : std::uint8_t {
    answered,  // the target works
    dead,      // it does not, or another server has answered and it has not
    confirmed, // nobody answered for none_after
    ended,     // by an operator's command or a reload
  };
  ServerName target; // of `ended` nobody knows: it may be gone
  End end = End::answered;
  Clock::duration lasted{};
  bool observed = false; // mode observe
  bool operator==(const OutageDoubtEnded&) const = default;
};
/// A server passes, and something is wrong with it all the same.
struct ProbeWarning {
  ServerName server;
  probes::ProbeResult result;
  std::string probe, wanted;
  bool operator==(const ProbeWarning&) const = default;
};
/// New probes of a server that works do not pass: those of before the reload decide.
struct NewProbeFails {
  ServerName server;
  probes::ProbeResult result;
  std::string probe, wanted;
  bool operator==(const NewProbeFails&) const = default;
};
/// They do now, and decide.
struct NewProbesPassed {
  ServerName server;
  bool operator==(const NewProbesPassed&) const = default;
};
/// A reload took the target away: it serves until the server of that role is up.
struct FormerServes {
  ServerName former, next;
  bool operator==(const FormerServes&) const = default;
};
/// All servers of the configuration are judged, and none of them may have the traffic.
struct FormerKept {
  ServerName former;
  bool operator==(const FormerKept&) const = default;
};

} // namespace hanat::events
