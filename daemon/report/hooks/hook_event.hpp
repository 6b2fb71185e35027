// What a hook is told: an event, or several that came while the hook could not be called, as one JSON document and as variables of the
// environment. Pure. Not here: when hooks are called (hook_queue), the sentences (event_text).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "daemon/report/event.hpp"

namespace hanat {

/// An empty text: it does not apply.
struct HookEvent {
  WallTime at{};
  std::string event = {}; // its kind, a word
  std::string service = {};
  std::string from = {}, to = {}, from_address = {}, to_address = {}; // where new connections went and go; "none": no server
  std::string why = {};                                               // the reason of a flip
  std::string server = {}, server_address = {}, state = {};           // "backup" is "down"; a role of a pair has a state alone
  std::string by = {};                                                // the user who did it
  std::string level = {}, text = {};
  bool operator==(const HookEvent&) const = default;
};

/// nullopt: no hook is told of such an event. `text` is its sentence.
std::optional<HookEvent> hook_event_of(const Event& event, const std::string& text);
/// Whether the hook of its service is told, too, and not that of [hanatd] alone: where new connections go, and nothing else.
bool is_for_service(const HookEvent& event);

/// One call.
struct HookBatch {
  std::string owner = {};            // a service; empty: [hanatd]
  std::deque<HookEvent> events = {}; // the newest of them, the last one last
  std::uint64_t count = 0;           // of all
  WallTime first_at{};               // of all
};

inline constexpr int hook_version = 1; // of the document; keys may be added to it

std::string document_of(const HookBatch& batch);
/// "NAME=value", all of them: hanatd's own environment is not handed on. Values have one line each.
std::vector<std::string> environment_of(const HookBatch& batch);

} // namespace hanat
