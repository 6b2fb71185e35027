// What is told of the programs that a pair needs beside hanatd, of this gateway or of the other one: each trouble once, and its end. Not
// here: looking at them (pair/program_monitor), the sentences (report).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/pair/program_monitor.hpp"
#include "daemon/report/event.hpp"

namespace hanat {

/// As the other gateway says it: what this one does not know is unknown.
PairPrograms programs_of(std::string_view conntrackd, std::string_view keepalived);

class ProgramEvents {
public:
  /// `peer`: the other gateway, if they are its programs; otherwise empty.
  ProgramEvents(std::string peer, std::function<void(events::Payload)> publish) : peer_(std::move(peer)), publish_(std::move(publish)) {}

  /// `standby`: the gateway on which they run is.
  void take(const PairPrograms& programs, bool standby);

private:
  std::string peer_;
  std::function<void(events::Payload)> publish_;
  PairPrograms told_{.conntrackd = FlowSync::ok, .keepalived = Vrrp::ok}; // that they are well is told only after they were not
};

} // namespace hanat
