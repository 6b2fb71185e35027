// What goes wrong with the programs that are told of events, as values. Not here: all other events (event), running the programs (hooks).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nat/clock.hpp"

namespace hanat {

enum class HookFault : std::uint8_t {
  exit_status, // not 0
  signal,      // that ended it
  time_limit,  // it was ended then
  not_trusted, // others can change it: it was not run
  not_started, // the kernel could not run it
};
std::string_view to_text(HookFault fault);

} // namespace hanat

namespace hanat::events {

/// The event's service is that of the hook; none: the hook of [hanatd].
struct HookFailed {
  std::string program;
  HookFault fault = HookFault::exit_status;
  int number = 0;            // exit status or signal
  std::string detail;        // the first line that it wrote, or why it could not be run
  Clock::duration timeout{}; // that it had
  std::uint64_t untold = 0;  // events that the call was about
  bool operator==(const HookFailed&) const = default;
};

} // namespace hanat::events
