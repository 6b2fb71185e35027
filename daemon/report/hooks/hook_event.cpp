// From an event, and its entry in the history, to what a hook is told.
#include "daemon/report/hooks/hook_event.hpp"

#include <concepts>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/report/event_text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat {
namespace {

using nlohmann::json;

template <typename T, typename... Kinds>
concept AnyOf = (std::same_as<T, Kinds> || ...);

/// Of events that the history does not keep. What says only that an operator's command was begun, or repeats what was told before, is told
/// to nobody.
struct OtherKinds {
  std::string_view operator()(const auto&) const { return {}; }
  std::string_view operator()(
      const AnyOf<events::KernelRefused, events::KernelRecovered, events::TableReplaced, events::TableNotRemoved,
                  events::HeartbeatByTransaction, events::HeartbeatByPacket, events::NotOffloaded, events::ConntrackFailed> auto&) const {
    return "kernel";
  }
  std::string_view
  operator()(const AnyOf<events::ProbesInconclusive, events::ProbesConclusive, events::ProbeWarning, events::ClientsNotHeard> auto&) const {
    return "probes";
  }
  std::string_view operator()(const AnyOf<events::StateNotSaved, events::HistoryNotWritten, events::HistoryWritten, events::ConfigNotCopied,
                                          events::MetricsNotServed, events::TrackFileNotWritten, events::OperatorsUnknown,
                                          events::NudgingOff, events::MessagesLost> auto&) const {
    return "daemon";
  }
  std::string_view operator()(const AnyOf<events::PeerRefused, events::PeerNotServed, events::MasqueradeInPair> auto&) const {
    return "pair";
  }
  std::string_view operator()(const events::Started&) const { return "start"; }
  std::string_view operator()(const events::HookFailed&) const { return "hook"; }
};

/// What is known of some kinds only.
struct Details {
  HookEvent& event;

  void operator()(const auto& what) const {
    if constexpr (requires { what.server.role; }) {
      event.server = what.server.role;
      event.server_address = to_text(what.server.address);
    }
    if constexpr (requires { what.health; }) event.state = to_text(what.health);
  }
  void operator()(const events::Flipped& flip) const {
    event.from = flip.from ? flip.from->role : "none";
    event.to = flip.to ? flip.to->role : "none";
    event.from_address = flip.from ? to_text(flip.from->address) : "";
    event.to_address = flip.to ? to_text(flip.to->address) : "";
    event.why = to_text(flip.reason);
  }
  void operator()(const events::FirstTarget& first) const {
    event.to = first.to ? first.to->role : "none";
    event.to_address = first.to ? to_text(first.to->address) : "";
  }
  void operator()(const events::RoleChanged& change) const { event.state = to_text(change.to); }
};

std::string_view word_of(Level level) {
  switch (level) {
  case Level::info: return "info";
  case Level::notice: return "notice";
  case Level::warning: return "warning";
  case Level::error: return "error";
  }
  return {};
}

json or_null(const std::string& text) { return text.empty() ? json() : json(text); }

json json_of(const HookEvent& event) {
  return {
      {"at", to_text(event.at)},
      {"event", event.event},
      {"service", or_null(event.service)},
      {"from", or_null(event.from)},
      {"to", or_null(event.to)},
      {"addresses", {{"from", or_null(event.from_address)}, {"to", or_null(event.to_address)}, {"server", or_null(event.server_address)}}},
      {"why", or_null(event.why)},
      {"server", or_null(event.server)},
      {"state", or_null(event.state)},
      {"by", or_null(event.by)},
      {"level", event.level},
      {"text", event.text}};
}

} // namespace

std::optional<HookEvent> hook_event_of(const Event& event, const std::string& text) {
  const auto entry = history_entry_of(event, text);
  const std::string kind = entry ? entry->kind : std::string{std::visit(OtherKinds{}, event.what)};
  if (kind.empty() || kind == "cut") return std::nullopt;
  if (std::holds_alternative<events::Adopted>(event.what)) return std::nullopt;  // everything is as it was before the start
  const bool observed = std::holds_alternative<events::ShadowMoved>(event.what); // nothing has moved
  HookEvent made{.at = event.at, .event = observed ? "observe" : kind, .service = event.service, .by = entry ? entry->by : ""};
  made.level = word_of(level_of(event));
  made.text = escaped(text);
  std::visit(Details{made}, event.what);
  return made;
}

bool is_for_service(const HookEvent& event) { return !event.service.empty() && !event.to.empty(); }

std::string document_of(const HookBatch& batch) {
  json document = json_of(batch.events.back());
  document["version"] = hook_version;
  document["hook"] = batch.owner.empty() ? json() : json(batch.owner);
  document["count"] = batch.count;
  document["first_at"] = to_text(batch.first_at);
  document["events"] = json::array();
  for (const HookEvent& event : batch.events) document["events"].push_back(json_of(event));
  return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::vector<std::string> environment_of(const HookBatch& batch) {
  const HookEvent& newest = batch.events.back();
  std::vector<std::string> result{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  const auto add = [&result](std::string_view name, const std::string& value) {
    result.push_back(fmt::format("HANAT_{}={}", name, escaped(value)));
  };
  add("HOOK_VERSION", fmt::to_string(hook_version));
  add("HOOK", batch.owner);
  add("AT", to_text(newest.at));
  add("EVENT", newest.event);
  add("SERVICE", newest.service);
  add("FROM", newest.from);
  add("TO", newest.to);
  add("FROM_ADDRESS", newest.from_address);
  add("TO_ADDRESS", newest.to_address);
  add("WHY", newest.why);
  add("SERVER", newest.server);
  add("SERVER_ADDRESS", newest.server_address);
  add("STATE", newest.state);
  add("BY", newest.by);
  add("LEVEL", newest.level);
  add("TEXT", newest.text);
  add("COUNT", fmt::to_string(batch.count));
  add("FIRST_AT", to_text(batch.first_at));
  return result;
}

} // namespace hanat
