// What happened, for people and machines: one event a fact. Events are collected while settle() acts and published when it is done, so that
// no log can hold up a flip. Not here: where events go (journal).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hanat {

enum class Level : std::uint8_t { info, notice, warning, error };

struct Event {
  Level level = Level::info;
  std::string service;                                          // empty: the daemon itself
  std::string text;                                             // what happened, to what, and what happens next
  std::vector<std::pair<std::string, std::string>> fields = {}; // for the journal: {"TARGET", "backup"}
};

} // namespace hanat
