// The status and the history as values, with their JSON form: keys may be added, never renamed; hanatctl(8) documents them and methods.cpp
// declares their types. Not here: gathering them (report/make_status), printing them (cli/show).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/api/listen_status.hpp"
#include "daemon/api/name_status.hpp"
#include "daemon/api/peer_status.hpp"
#include "daemon/api/probe_totals_status.hpp"
#include "daemon/api/stability_status.hpp"

namespace hanat {

struct HealthChangeStatus; // health_change.hpp
struct ServicePlan;        // reload_plan.hpp

/// Of the JSON of the status and the history. It changes when the words that the keys hold are renamed.
inline constexpr int status_version = 2;

struct FailsStatus {
  unsigned count = 0, of = 0;
  double within_s = 0;
};
struct LastResult {
  std::string outcome, reason, detail;
  std::string wanted = {}; // what would have passed; empty: the reason says it
  double latency_ms = 0, age_s = 0;
  std::optional<double> certificate_left_s = {}; // until the server's certificate expires; absent: none is known
};
/// One of several probes of a server.
struct ProbeStatus {
  std::string name, health; // "http 10.0.0.11:8443 GET /health"
  FailsStatus fails;
  std::optional<LastResult> last;
};
/// A program says how the server is, instead of its probes.
struct ReportStatus {
  std::string health, since, until, reason, by;
};
/// New probes of a server that works by those of before, which decide until each of these has passed.
struct NewProbesStatus {
  std::string since;    // of the reload: RFC 3339, UTC, milliseconds
  bool failing = false; // as many results as make a server down were no pass
  std::vector<ProbeStatus> probes;
};
/// An operator took a server out of service.
struct DisabledStatus {
  std::string since;                     // RFC 3339, UTC, milliseconds
  std::optional<std::string> until = {}; // likewise; absent: until it is enabled
  std::string reason, by;
};
struct ServerStatus {
  std::string role, address;
  std::vector<std::string> addresses;           // filled only with more than one
  std::string health;                           // "unknown", "up", "full", "down"
  bool drains = false;                          // it is full because its agent, or a program, wants no new connections there
  std::optional<std::string> group_health = {}; // of a service in a group: the server's health for the whole group
  FailsStatus fails;
  std::optional<RecoveringStatus> recovering = {};
  std::optional<LastResult> last;
  std::optional<FlappingStatus> flapping = {};
  std::optional<WarningStatus> warning = {};
  std::optional<ProbeTotalsStatus> totals = {}; // absent: of an older hanatd
  std::optional<std::uint64_t> new_flows = {};  // given to it since somebody first looked; absent: not read yet
  std::vector<ProbeStatus> probes = {};         // filled only with more than one; fails and last are those of the worst
  std::optional<DisabledStatus> disabled = {};
  std::optional<ReportStatus> report = {};
  std::optional<NewProbesStatus> new_probes = {};
  std::optional<NameStatus> name = {};          // absent: its addresses are configured
  std::optional<std::string> former_since = {}; // it is no server of the configuration any more since that reload; its role is "former"
};
struct ForcedStatus {
  std::string target;
  std::optional<std::string> until; // RFC 3339, UTC, milliseconds
  std::string reason, by;
  bool until_down = false; // it ends, too, when its server goes down
  bool drill = false;      // a rehearsal of a failover
};
struct CutStatus {
  std::uint64_t tcp = 0, udp = 0, sctp = 0;
  bool operator==(const CutStatus&) const = default;
};
struct FlipStatus {
  std::string at, from, to, why;
  std::int64_t commit_us = 0;
  CutStatus cut;
  std::uint64_t nudged = 0;                   // clients that nudges were sent to
  std::uint64_t drained = 0;                  // flows that ended by themselves while draining or kept
  std::optional<std::uint64_t> left = 0;      // flows that are draining or kept now; absent: not counted yet
  std::optional<double> drain_ends_in_s = {}; // absent: nothing is draining
  std::optional<double> cut_ms;               // absent while the cut runs
  bool interrupted = false;                   // (history) hanatd ended before the cut did: cut_ms stays absent
  bool operator==(const FlipStatus&) const = default;
};
/// Old flows that may stay at one server, of the last flip or an earlier one.
struct DrainingStatus {
  std::string server, address; // its role, now or before
  std::uint64_t drained = 0;
  std::optional<std::uint64_t> left;
  std::optional<double> ends_in_s; // absent: kept
};
/// Flows at a server that hanat did not send them to, which came back after they were cut.
struct ForeignStatus {
  std::string listen, server; // "203.0.113.10:443/tcp"; where the flows are
  std::uint64_t flows = 0;    // in the last audit
};
/// Since hanatd started.
struct TotalsStatus {
  std::map<std::string, std::uint64_t> flips; // by reason
  CutStatus cut;
  std::uint64_t nudged = 0;
  std::uint64_t drained = 0;                                 // without what `draining` shows
  std::uint64_t clients_unanswered = 0, clients_refused = 0; // connections, at least so many
  std::vector<std::uint64_t> latencies = {};                 // of probes of all its servers, as ProbeTotalsStatus has them
  double latency_sum_s = 0;
};
/// The way back to a preferred server.
struct FailbackStatus {
  std::string mode = "auto";            // "manual"
  std::optional<std::string> to;        // the preferred server that is up, or recovering
  std::optional<std::string> waits_for; // "stable-for", "after", "penalty", "window", "operator"
};
/// What is wrong with the way of the clients: see daemon/doctor/finding.hpp. In a status and in the reply of the doctor.
struct FindingStatus {
  std::string severity, code;
  std::string service = {}; // empty: of the gateway as a whole
  std::string what, remedy;
  std::string seen_by = {}; // empty: a setting
  bool operator==(const FindingStatus&) const = default;
};
/// Whether clients get an answer. Counts are of the last minute, and at least that: hanatd sees a sample where clients are many.
struct PathStatus {
  std::string state = "no-evidence"; // "ok", "unanswered"
  std::uint64_t unanswered_clients = 0, refused_clients = 0;
  std::optional<std::string> since = {}; // RFC 3339, UTC: since when they are unanswered
  std::vector<FindingStatus> findings = {};
  bool operator==(const PathStatus&) const = default;
};
struct ServiceStatus {
  std::string name, target;
  std::optional<std::string> target_address; // null: none
  std::string since, why, mode = "auto";
  std::optional<std::string> would_target, would_why; // in mode observe only
  bool in_table = false;                              // likewise: the table still holds it as it was before
  bool standby = false;                               // this gateway of a pair serves nobody: the target counts if it takes over
  std::optional<bool> offload = {}; // whether its established flows are put on a flowtable; absent: it does not ask for it
  std::optional<std::string> group;
  std::optional<ForcedStatus> forced;
  std::optional<double> failback_in_s;
  FailbackStatus failback;
  std::uint64_t flips = 0;
  std::vector<std::string> listen;
  std::vector<ServerStatus> servers;
  std::optional<FlipStatus> last_flip;
  std::vector<DrainingStatus> draining;
  std::vector<std::string> cutting = {}; // servers whose old flows are being cut, whatever flip or drain they are of
  std::vector<ForeignStatus> foreign;
  PathStatus path = {};
  std::optional<OutageStatus> outage = {};
  std::optional<WitnessStatus> witness = {}; // absent: none is configured
  std::vector<ListenStatus> interfaces = {}; // the listeners that are interfaces
  TotalsStatus totals;
};
struct RefusedReload {
  std::string at, by; // RFC 3339; a user, or "SIGHUP"
  std::uint64_t errors = 0;
  std::string first; // "file:line:col: message"
};
/// The configuration in use was loaded by `reload --confirm`, and nobody has confirmed it yet.
struct UnconfirmedConfig {
  std::string by, until; // RFC 3339: the one before comes back then
  double left_s = 0;
};
/// It was not confirmed in time, and the one before is in use again.
struct RevertedConfig {
  std::string at, by; // RFC 3339; who loaded what was taken back
};
/// A reload waits for its files, and failover goes on without it.
struct HungReload {
  std::string since, by;
};
/// The role of this gateway in a pair.
struct PairStatus {
  std::string role;                    // "standby", "settling", "active"
  std::string since;                   // RFC 3339, UTC
  bool settled = false;                // it is active, and the other gateway's connections are not waited for
  std::string address;                 // that the two share
  std::string conntrackd = "unknown";  // "ok"; "absent": it does not run; "behind": it does not keep up
  std::string keepalived = "unknown";  // "ok": a program here speaks VRRP; "absent": none does any more
  std::optional<PeerStatus> peer = {}; // absent: nothing is shared with it
  bool operator==(const PairStatus&) const = default;
};
/// The programs that are told of events.
struct HookStatus {
  std::uint64_t running = 0, waiting = 0, events = 0; // calls; events that no call was made for yet, and that one was made for
  std::map<std::string, std::uint64_t> calls = {};    // that ended, by result: "ok", "exit-status", "time-limit", ...
  bool operator==(const HookStatus&) const = default;
};
struct DaemonStatus {
  int pid = 0;
  double uptime_s = 0;
  std::string kernel = "in-step";          // "repairing", "failed"
  std::optional<std::string> kernel_error; // the kernel's last error, while not in step
  std::string config, version;
  std::optional<std::string> fallback = {}; // why the configuration in use is an older one
  std::optional<std::string> inconclusive;  // why probes are inconclusive; "blind" in JSON
  std::optional<std::string> config_loaded_at = {};
  std::optional<RefusedReload> reload_refused = {}; // since the configuration in use was loaded
  bool config_stale = false;                        // the files on disk are not those in use
  std::optional<UnconfirmedConfig> unconfirmed = {};
  std::optional<RevertedConfig> reverted = {}; // since the configuration in use was loaded
  std::optional<HungReload> reload_hangs = {};
  std::optional<PairStatus> pair = {};      // absent: it acts alone
  std::optional<HookStatus> hooks = {};     // absent: there is none
  std::vector<FindingStatus> findings = {}; // settings of this machine that stop the clients of every service
};
struct Status {
  DaemonStatus daemon;
  std::vector<ServiceStatus> services;
};

/// How many services a reload touched.
struct ReloadCounts {
  std::uint64_t added = 0, changed = 0, removed = 0;
};
/// One entry of `hanatctl history`. A flip has the keys of last_flip beside the others.
struct HistoryEntry {
  std::string at; // RFC 3339, UTC, milliseconds
  // "flip", "health", "override", "maintenance", "target", "repair", "reload", "path", "flapping", "outage", "configuration", "role",
  // "pair", "name"; "cut": updates a flip
  std::string kind;
  std::string service;                            // empty: the daemon itself; null in JSON
  std::string text;                               // the journal's text
  std::optional<std::string> until = {};          // of an override with an end; RFC 3339, UTC
  std::string by = {};                            // who did it; empty: nobody
  std::string target = {};                        // of kind "target": the role that is the target now, or "none"; empty: it stays unset
  std::string from_address = {}, to_address = {}; // of a flip: its servers; empty: none, or an entry of an older hanatd
  std::optional<ReloadCounts> reload = {};
  std::shared_ptr<const HealthChangeStatus> health = {};        // of a change of health; null: of an older hanatd
  std::shared_ptr<const std::vector<ServicePlan>> changes = {}; // of a reload: the first of what it changed; null: nothing
  std::optional<FlipStatus> flip;
};

void to_json(nlohmann::json& json, const FindingStatus& finding);
void from_json(const nlohmann::json& json, FindingStatus& finding);
void to_json(nlohmann::json& json, const ForcedStatus& forced);
void to_json(nlohmann::json& json, const HistoryEntry& entry);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, HistoryEntry& entry);
void from_json(const nlohmann::json& json, ForcedStatus& forced);
/// The same as text.
std::string json_text(const ServiceStatus& service);
void to_json(nlohmann::json& json, const ServiceStatus& service);
void from_json(const nlohmann::json& json, ServiceStatus& service);
void to_json(nlohmann::json& json, const PairStatus& pair);
void from_json(const nlohmann::json& json, PairStatus& pair);
void to_json(nlohmann::json& json, const DaemonStatus& daemon);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, DaemonStatus& daemon);
void to_json(nlohmann::json& json, const Status& status);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, Status& status);

} // namespace hanat
