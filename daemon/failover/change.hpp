// One value crosses from the decision to the table: what one service decided, and what follows from it.
// Not here: deciding (transition), loading it (table_sync).
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "daemon/decision/desired_state.hpp"

namespace hanat {

struct Change {
  std::size_t batch; // changes of the same batch are made together or not at all
  ServiceState* service;
  Decision decision;
  Plan plan;
  std::optional<FlowPolicy> asked_flows = {}; // by which it was planned: what is asked while it is being made is of the next one
  std::string refusal{};                      // the kernel's; empty: made
  std::chrono::microseconds took{};
};

} // namespace hanat
