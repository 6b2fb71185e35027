// Where should a service's new flows go, and why? One pure function of what is known; `now` is an argument.
// Not here: how it is known (health), making it so (gateway).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "daemon/config.hpp"
#include "daemon/health.hpp"

namespace hanat {

/// The words of status and journal; the man page explains each.
enum class Why : std::uint8_t {
  starting,      // nothing is decided yet: new flows are dropped until the first server in order is
  adopted,       // what was loaded stays while its server is still unknown
  primary_up,    // the primary has the traffic
  failover,      // a server before this one is down, or was when this one took over
  failback,      // (a flip's reason) a preferred server is fit again
  forced,        // an operator pinned it
  observe,       // (a status's reason) mode observe: what the kernel holds stays as it is
  none_fit,      // no server is fit: clients are refused (on_none)
  none_fit_kept, // no server is fit: the last target keeps the traffic (on_none = "keep")
};
std::string_view to_text(Why why);

struct Candidate {
  Health health = Health::unknown;
  Time up_since{}; // meaningful while up: failback.after counts from here
  bool operator==(const Candidate&) const = default;
};

/// Everything that the choice depends on.
struct View {
  std::span<const Candidate> servers; // the primary first
  std::optional<std::size_t> current; // who has the traffic now
  bool refused = false;               // nobody has it, and that was decided (not merely: nothing decided yet)
  std::optional<std::size_t> forced;
  bool override_ended = false; // an override just ended: go to the best server, whatever failback says
  Failback failback;
  OnNone on_none = OnNone::refuse;
  std::chrono::seconds day_time{}; // local time of day, for failback.window
};

enum class Place : std::uint8_t {
  server,   // `server` says which
  none,     // clients are refused or dropped, by on_none
  undecided // nothing yet: known VIPs drop, what is loaded stays
};

struct Decision {
  Place place = Place::undecided;
  std::size_t server = 0;          // of Place::server only
  Why why = Why::starting;         // why it is so (status)
  Why flip_why = Why::starting;    // why it would be moved there (journal, last_flip)
  std::optional<Time> failback_at; // a failback waits for this moment (after, window)
  bool operator==(const Decision&) const = default;
};

Decision choose(const View& view, Time now);

} // namespace hanat
