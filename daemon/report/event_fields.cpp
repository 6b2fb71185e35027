// The fields of an event in the journal, beside its text: what of an event has the same meaning has the same field. hanatd(8) lists them.
// Not here: the sentences (event_text), the identifiers (event_kinds), writing (journal).
#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "daemon/report/event_kinds.hpp"
#include "daemon/report/event_text.hpp"

namespace hanat {
namespace events {
namespace {

/// The fields of one event. Where there is nothing to say a field is absent.
class FieldList {
public:
  void add(const char* name, std::string_view value) {
    if (!value.empty()) fields_.emplace_back(name, value);
  }
  void add_server(const ServerName& server) {
    add("HANAT_SERVER", server.role);
    if (server.address != Endpoint{}) add("HANAT_ADDRESS", hanat::to_text(server.address));
  }
  void add_role(const char* name, const std::optional<ServerName>& server) { add(name, server ? server->role : "none"); }
  std::vector<std::pair<std::string, std::string>> take() { return std::move(fields_); }

private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// Which server it is about, by whatever name the event has it.
template <typename What> void add_server_of(const What& what, FieldList& fields) {
  if constexpr (requires {
                  { what.server } -> std::convertible_to<const ServerName&>;
                })
    fields.add_server(what.server);
  else if constexpr (requires {
                       { what.target } -> std::convertible_to<const ServerName&>;
                     })
    fields.add_server(what.target);
  else if constexpr (requires {
                       { what.former } -> std::convertible_to<const ServerName&>;
                     })
    fields.add_server(what.former);
  else if constexpr (requires {
                       { what.to } -> std::convertible_to<const ServerName&>;
                     }) // it was another one
    fields.add_server(what.to);
  else if constexpr (requires {
                       { what.server } -> std::convertible_to<const std::optional<Endpoint>&>;
                     })
    fields.add("HANAT_ADDRESS", what.server ? hanat::to_text(*what.server) : "");
  else if constexpr (requires {
                       { what.server } -> std::convertible_to<const std::string&>;
                     })
    fields.add("HANAT_SERVER", what.server);
  else if constexpr (requires {
                       { what.role } -> std::convertible_to<const std::string&>;
                       what.by;
                     })
    fields.add("HANAT_SERVER", what.role);
}

/// Health, and the result of a probe.
template <typename What> void add_health_of(const What& what, FieldList& fields) {
  if constexpr (requires {
                  { what.health } -> std::convertible_to<Health>;
                })
    fields.add("HANAT_HEALTH", hanat::to_text(what.health));
  if constexpr (requires {
                  { what.reason } -> std::same_as<const probes::Reason&>;
                })
    fields.add("HANAT_REASON", probes::to_text(what.reason));
  if constexpr (requires { what.result.reason; }) fields.add("HANAT_REASON", probes::to_text(what.result.reason));
  if constexpr (requires { what.last->reason; })
    if (what.last) fields.add("HANAT_REASON", probes::to_text(what.last->reason));
  if constexpr (requires {
                  { what.probe } -> std::convertible_to<const std::string&>;
                })
    fields.add("HANAT_PROBE", what.probe);
}

/// Who did it, who is concerned, how many.
template <typename What> void add_rest_of(const What& what, FieldList& fields) {
  if constexpr (requires { what.by; }) fields.add("HANAT_BY", what.by);
  if constexpr (requires { what.group; })
    if constexpr (!std::is_same_v<What, OperatorsUnknown>) fields.add("HANAT_GROUP", what.group);
  if constexpr (requires {
                  { what.error } -> std::convertible_to<const std::string&>;
                })
    fields.add("HANAT_ERROR", what.error);
  if constexpr (requires {
                  { what.peer } -> std::convertible_to<const std::string&>;
                })
    fields.add("HANAT_PEER", what.peer);
  if constexpr (requires {
                  { what.flows } -> std::convertible_to<const std::string&>;
                })
    fields.add("HANAT_FLOWS", what.flows);
  if constexpr (requires { what.cut.tcp; }) fields.add("HANAT_CUT", fmt::format("{}", what.cut.tcp + what.cut.udp + what.cut.sctp));
}

/// What only some kinds have.
struct OwnFields {
  FieldList& fields;

  void operator()(const auto&) const {}
  void operator()(const Flipped& flip) const {
    fields.add_role("HANAT_FROM", flip.from);
    fields.add_role("HANAT_TO", flip.to);
    fields.add("HANAT_WHY", hanat::to_text(flip.reason));
    fields.add("HANAT_COMMIT_USEC", fmt::format("{}", flip.flip.commit_us));
  }
  void operator()(const FirstTarget& first) const { fields.add_role("HANAT_TO", first.to); }
  void operator()(const ShadowMoved& moved) const {
    fields.add_role("HANAT_WOULD_TO", moved.to);
    fields.add("HANAT_WHY", hanat::to_text(moved.reason));
  }
  void operator()(const Flapping& flapping) const { fields.add("HANAT_FLAPPING", flapping.server.role); }
  void operator()(const FlappingEnded& flapping) const { fields.add("HANAT_FLAPPING", flapping.server.role); }
  void operator()(const RoleChanged& change) const { fields.add("HANAT_ROLE", hanat::to_text(change.to)); }
  void operator()(const PathFinding& found) const { fields.add("HANAT_FINDING", found.finding.code); }
  void operator()(const SettingChanged& changed) const { fields.add("HANAT_FINDING", changed.finding.code); }
  void operator()(const OverrideRestored& restored) const { add_restored(restored.forced); }
  void operator()(const MaintenanceRestored& restored) const { add_restored(restored.disabled); }
  void operator()(const ConntrackdChanged& changed) const { fields.add("HANAT_CONNTRACKD", hanat::to_text(changed.state)); }
  void operator()(const KeepalivedChanged& changed) const { fields.add("HANAT_KEEPALIVED", hanat::to_text(changed.state)); }

  void operator()(const NameChanged& changed) const { fields.add("HANAT_NAME", changed.name); }
  void operator()(const NameFails& fails) const { fields.add("HANAT_NAME", fails.name); }
  void operator()(const NameResolves& resolves) const { fields.add("HANAT_NAME", resolves.name); }
  void operator()(const InterfaceChanged& changed) const {
    fields.add("HANAT_INTERFACE", changed.interface);
    fields.add("HANAT_ADDRESSES", changed.all.empty() ? "none" : changed.all);
    fields.add("HANAT_ADDRESSES_GONE", changed.gone);
  }
  void operator()(const AddressHeld& address) const {
    fields.add("HANAT_INTERFACE", address.interface);
    if (!address.back) fields.add("HANAT_ADDRESSES_GONE", address.addresses);
  }
  void operator()(const ListenOverlaps& overlaps) const { fields.add("HANAT_INTERFACE", overlaps.interface); }

  void add_restored(const auto& before) const {
    fields.add_server(before.server);
    fields.add("HANAT_BY", before.by);
  }
};

} // namespace
} // namespace events

std::vector<std::pair<std::string, std::string>> fields_of(const Event& event) {
  events::FieldList fields;
  const EventKind kind = kind_of(event);
  fields.add("MESSAGE_ID", kind.id);
  fields.add("HANAT_EVENT", kind.name);
  fields.add("HANAT_SERVICE", event.service);
  std::visit(
      [&fields](const auto& what) {
        events::OwnFields{fields}(what);
        events::add_server_of(what, fields);
        events::add_health_of(what, fields);
        events::add_rest_of(what, fields);
      },
      event.what);
  return fields.take();
}

} // namespace hanat
