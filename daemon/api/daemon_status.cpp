// The daemon's own part of the status as JSON. Not here: the services (status).
#include <cmath>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "daemon/api/status.hpp"

namespace hanat {
namespace {

using nlohmann::json;

std::optional<std::string> text_in(const json& from, const char* key) {
  const auto found = from.find(key);
  return found == from.end() || found->is_null() ? std::nullopt : std::optional{found->get<std::string>()};
}

json nullable_text(const std::optional<std::string>& text) { return text ? json(*text) : json(); }

} // namespace

void to_json(json& value, const PairStatus& pair) {
  value = {{"role", pair.role},       {"since", pair.since},           {"settled", pair.settled},
           {"address", pair.address}, {"conntrackd", pair.conntrackd}, {"keepalived", pair.keepalived}};
  if (pair.peer) value["peer"] = *pair.peer;
}

void from_json(const json& from, PairStatus& pair) {
  pair = {.role = from.at("role"),
          .since = from.at("since"),
          .settled = from.at("settled"),
          .address = from.at("address"),
          .conntrackd = from.value("conntrackd", "unknown"),
          .keepalived = from.value("keepalived", "unknown")};
  if (const auto peer = from.find("peer"); peer != from.end()) pair.peer = peer->get<PeerStatus>();
}

void to_json(json& value, const DaemonStatus& daemon) {
  value = {{"pid", daemon.pid},
           {"uptime_s", std::round(daemon.uptime_s * 1000) / 1000},
           {"kernel", daemon.kernel},
           {"config", daemon.config},
           {"version", daemon.version},
           {"blind", nullable_text(daemon.inconclusive)},
           {"config_loaded_at", nullable_text(daemon.config_loaded_at)},
           {"config_stale", daemon.config_stale}};
  if (const auto& refused = daemon.reload_refused)
    value["reload_refused"] = {{"at", refused->at}, {"by", refused->by}, {"errors", refused->errors}, {"first", refused->first}};
  if (daemon.fallback) value["fallback"] = *daemon.fallback;
  if (daemon.kernel_error) value["kernel_error"] = *daemon.kernel_error;
  if (const auto& unconfirmed = daemon.unconfirmed)
    value["unconfirmed"] = {
        {"by", unconfirmed->by}, {"until", unconfirmed->until}, {"left_s", std::round(unconfirmed->left_s * 1000) / 1000}};
  if (const auto& reverted = daemon.reverted) value["reverted"] = {{"at", reverted->at}, {"by", reverted->by}};
  if (daemon.pair) value["pair"] = *daemon.pair;
  if (const auto& hooks = daemon.hooks)
    value["hooks"] = {{"running", hooks->running}, {"waiting", hooks->waiting}, {"events", hooks->events}, {"calls", hooks->calls}};
  if (!daemon.findings.empty()) value["findings"] = daemon.findings;
  if (const auto& hangs = daemon.reload_hangs) value["reload_hangs"] = {{"since", hangs->since}, {"by", hangs->by}};
}

void from_json(const json& from, DaemonStatus& daemon) {
  daemon = {.pid = from.at("pid"),
            .uptime_s = from.at("uptime_s"),
            .kernel = from.at("kernel"),
            .kernel_error = text_in(from, "kernel_error"),
            .config = from.at("config"),
            .version = text_in(from, "version").value_or(""),
            .fallback = text_in(from, "fallback"),
            .inconclusive = text_in(from, "blind"),
            .config_loaded_at = text_in(from, "config_loaded_at"),
            .config_stale = from.value("config_stale", false),
            .findings = from.value("findings", std::vector<FindingStatus>{})};
  if (const auto refused = from.find("reload_refused"); refused != from.end())
    daemon.reload_refused =
        RefusedReload{.at = refused->at("at"), .by = refused->at("by"), .errors = refused->at("errors"), .first = refused->at("first")};
  if (const auto unconfirmed = from.find("unconfirmed"); unconfirmed != from.end())
    daemon.unconfirmed =
        UnconfirmedConfig{.by = unconfirmed->at("by"), .until = unconfirmed->at("until"), .left_s = unconfirmed->at("left_s")};
  if (const auto reverted = from.find("reverted"); reverted != from.end())
    daemon.reverted = RevertedConfig{.at = reverted->at("at"), .by = reverted->at("by")};
  if (const auto pair = from.find("pair"); pair != from.end()) daemon.pair = pair->get<PairStatus>();
  if (const auto hooks = from.find("hooks"); hooks != from.end())
    daemon.hooks = HookStatus{
        .running = hooks->at("running"), .waiting = hooks->at("waiting"), .events = hooks->at("events"), .calls = hooks->at("calls")};
  if (const auto hangs = from.find("reload_hangs"); hangs != from.end())
    daemon.reload_hangs = HungReload{.since = hangs->at("since"), .by = hangs->at("by")};
}

} // namespace hanat
