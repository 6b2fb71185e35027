// From an event to everything that is said of it: its sentence, level and journal fields, and its entry in the history. Pure, and the only
// place where an event becomes text. Not here: making events (make_event), where the text goes (journal, history).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/report/event.hpp"

namespace hanat {

/// How the sentence of a restart that changed no target begins, by which it is told from others of the kind "target".
inline constexpr std::string_view adopted_words = "found loaded rules: ";
/// What the sentence of the end of a trouble with the clients' way has, and no other of the kind "path".
inline constexpr std::string_view path_ended_words = "; it lasted ";

/// What happened, to what, and what to do or expect next. Without the name of the service.
/// At most 1,000 bytes: it is a line of the journal, and of the history.
std::string text_of(const Event& event);
Level level_of(const Event& event);
/// For the journal: MESSAGE_ID and HANAT_EVENT, then {"HANAT_SERVICE", "web"} and what else there is (event_fields.cpp).
std::vector<std::pair<std::string, std::string>> fields_of(const Event& event);

/// What the history keeps of the event, with its text; nullopt: nothing. The kind is "cut" where it only updates the entry of a flip.
std::optional<HistoryEntry> history_entry_of(const Event& event, std::string text);
std::optional<HistoryEntry> history_entry_of(const Event& event);

} // namespace hanat
