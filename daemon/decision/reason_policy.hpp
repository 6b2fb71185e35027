// What the reason of a probe result means for new and for standing flows: one table. hanatd(8), WHAT A REASON DOES, shows it.
// Pure. Not here: counting results (failure_window), the decision that follows from a verdict (decision).
#pragma once

#include <cstdint>

#include "probes/result.hpp"

namespace hanat {

/// What a result tells of the way to the server.
enum class Contact : std::uint8_t {
  answered, // a packet of the server's came back: the way works
  silent,   // none came: the server, or anything on the way to it, may be the cause
  no_path,  // this machine knows that it has no path, without a packet
  none,     // nothing was learnt
};

/// Where new flows go once enough results of the reason have come.
enum class NewFlows : std::uint8_t {
  stay,          // it is no fault
  elsewhere,     // to the next server that is up
  prefer_others, // the same, but where no other server is up they go on to this one
};

/// What becomes of the flows of a server that lost its traffic for the reason.
enum class StandingFlows : std::uint8_t {
  stay,        // they are served
  by_policy,   // on_failover: the server answers, so a drain makes sense
  never_drain, // on_failover, but a drain would leave its clients waiting for nothing: they are reset
};

struct ReasonPolicy {
  NewFlows new_flows = NewFlows::stay;
  StandingFlows standing = StandingFlows::stay;
  Contact contact = Contact::none;
  bool warns = false; // not without `critical`: it passes, and is shown
  bool operator==(const ReasonPolicy&) const = default;
};

ReasonPolicy policy_of(probes::Reason reason);

/// Packets came back neither from the server nor from anybody on the way to it: that may be a failure of this machine or its uplink.
constexpr bool may_be_ours(Contact contact) { return contact == Contact::silent || contact == Contact::no_path; }

} // namespace hanat
