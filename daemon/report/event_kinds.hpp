// The kind of an event as the journal has it: a word, and the identifier under which hanat.catalog explains it. One row a kind.
// Not here: the sentence and the level of an event (event_text), its other fields (event_fields).
#pragma once

#include <string_view>
#include <vector>

#include "daemon/report/event.hpp"

namespace hanat {

struct EventKind {
  std::string_view name; // HANAT_EVENT: "flip"
  std::string_view id;   // MESSAGE_ID: 32 hexadecimal digits, the same for ever
  bool operator==(const EventKind&) const = default;
};

EventKind kind_of(const Event& event);
/// In the order of the catalog.
std::vector<EventKind> event_kinds();

} // namespace hanat
