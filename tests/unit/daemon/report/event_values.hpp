// What is said of an event about the service web. Not here: any test.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daemon/report/event_text.hpp"

namespace hanat::events {

inline const WallTime made_at{std::chrono::milliseconds{1'769'853'600'123}}; // 2026-01-31T10:00:00.123Z

inline Event web(Payload what) { return {.at = made_at, .service = "web", .what = std::move(what)}; }
inline std::string text(Payload what) { return text_of(web(std::move(what))); }
inline Level level(Payload what) { return level_of(web(std::move(what))); }
inline std::string kind(Payload what) {
  const auto entry = history_entry_of(web(std::move(what)));
  return entry ? entry->kind : "";
}
using Fields = std::vector<std::pair<std::string, std::string>>;
/// Behind those of its kind.
inline Fields fields(Payload what) {
  Fields all = fields_of(web(std::move(what)));
  all.erase(all.begin(), all.begin() + 2);
  return all;
}
inline const Fields only_the_service{{"HANAT_SERVICE", "web"}};

} // namespace hanat::events
