// Compares with what was told last.
#include "daemon/links/program_events.hpp"

#include <initializer_list>

namespace hanat {
namespace {

template <typename State> State state_of(std::string_view text, std::initializer_list<State> states) {
  for (const State state : states)
    if (to_text(state) == text) return state;
  return State::unknown;
}

} // namespace

PairPrograms programs_of(std::string_view conntrackd, std::string_view keepalived) {
  return {.conntrackd = state_of(conntrackd, {FlowSync::ok, FlowSync::absent, FlowSync::behind}),
          .keepalived = state_of(keepalived, {Vrrp::ok, Vrrp::absent})};
}

void ProgramEvents::take(const PairPrograms& programs, bool standby) {
  if (programs.conntrackd != FlowSync::unknown && std::exchange(told_.conntrackd, programs.conntrackd) != programs.conntrackd)
    publish_(events::ConntrackdChanged{.state = programs.conntrackd, .peer = peer_, .standby = standby});
  if (programs.keepalived != Vrrp::unknown && std::exchange(told_.keepalived, programs.keepalived) != programs.keepalived)
    publish_(events::KeepalivedChanged{.state = programs.keepalived, .peer = peer_, .standby = standby});
}

} // namespace hanat
