// What happened, for people and machines: one event a fact. Events are collected while settle() acts and published when it is done, so that
// no log can hold up a flip. Not here: where events go (journal).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/status.hpp"

namespace hanat {

enum class Level : std::uint8_t { info, notice, warning, error };

/// What the history keeps of an event: nothing of `other`; `cut` is what became of a flip that it has.
enum class EventKind : std::uint8_t { other, flip, cut, health, override, target, repair };

struct Event {
  Level level = Level::info;
  std::string service;                                          // empty: the daemon itself
  std::string text;                                             // what happened, to what, and what happens next
  std::vector<std::pair<std::string, std::string>> fields = {}; // for the journal: {"TARGET", "backup"}
  EventKind kind = EventKind::other;
  std::optional<FlipStatus> flip = std::nullopt; // of a flip or cut
};

} // namespace hanat
