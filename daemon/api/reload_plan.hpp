// What a reload changes, or would change, as values of text; with their JSON. Not here: finding it out (failover/rehearsal), printing it
// (cli/show_plan).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

/// One key of the configuration. Empty: it was not there, or is not any more.
struct KeyChange {
  std::string key, before, after; // "down", "3 in 10s", "2 in 10s"
  bool operator==(const KeyChange&) const = default;
};
/// New connections go to another server, or to none.
struct MovePlan {
  std::string from, to, why;                      // roles, as the history has them
  std::string from_address = {}, to_address = {}; // of these servers; empty: none
  bool operator==(const MovePlan&) const = default;
};
/// The service had no target, or was only observed: from now on its new connections go by hanatd's decisions.
struct TakeOverPlan {
  std::string target, address,
      why; // a role, or "none"; the address of its server, empty: none; why: "starting": its servers have to answer
  bool operator==(const TakeOverPlan&) const = default;
};
/// What happens to flows of an old target.
struct FlowsPlan {
  std::string flows, server, action; // "web primary", "10.0.0.11:8443"; "reset", "drain 60s", "keep"
  bool operator==(const FlowsPlan&) const = default;
};
struct ProbesPlan {
  std::uint64_t kept = 0, started = 0, ended = 0; // a probe that is kept keeps its results
  bool operator==(const ProbesPlan&) const = default;
};
struct ServicePlan {
  std::string service, change; // "added", "changed", "removed"; "moved": not changed itself, but moved by what is
  std::vector<KeyChange> keys = {};
  std::optional<MovePlan> move = {};
  std::vector<FlowsPlan> flows = {};
  ProbesPlan probes = {};
  std::vector<std::string> held = {}; // roles: the verdict of their probes of before stands until each new one has passed
  std::string serves_on = {}; // the target, no server any more: it serves until one of the configuration is up; empty: there is none
  std::optional<TakeOverPlan> take_over = {};
  bool observed = false; // by the new configuration: its traffic is not touched
  bool operator==(const ServicePlan&) const = default;
};
/// From mode observe to auto: a way back to observe leaves the traffic where it then is.
bool ends_observe(const ServicePlan& plan);
struct ReloadPlan {
  std::uint64_t services = 0; // of the new configuration
  std::vector<ServicePlan> changes;
  std::vector<KeyChange> settings; // of [hanatd]
  std::vector<std::string> warnings;
  bool operator==(const ReloadPlan&) const = default;
};

void to_json(nlohmann::json& json, const KeyChange& change);
void from_json(const nlohmann::json& json, KeyChange& change);
void to_json(nlohmann::json& json, const ServicePlan& plan);
void from_json(const nlohmann::json& json, ServicePlan& plan);
void to_json(nlohmann::json& json, const ReloadPlan& plan);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, ReloadPlan& plan);

} // namespace hanat
