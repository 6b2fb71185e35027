// A table of metrics with their HELP texts, and the lines of each.
#include "daemon/api/metrics_text.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "daemon/util/wall_time.hpp"
#include "probes/latency_buckets.hpp"

namespace hanat {
namespace {

constexpr std::size_t piece_size = std::size_t{64} << 10; // bytes, and a line more

enum class Metric : std::uint8_t {
  target,
  forced,
  flips,
  cut,
  nudged,
  drained,
  old_flows,
  unanswered,
  refused,
  path,
  redundancy,
  flip_time,
  flip_commit,
  up,
  full,
  unknown,
  disabled,
  fails,
  latency,
  age,
  results,
  duration,
  pass_time,
  new_flows,
  certificate,
  flapping,
  failback_wait,
  warning,
  new_probes,
  name,
  outage,
  addresses,
};

struct Row {
  Metric metric;
  std::string_view name, type, help;
};
constexpr std::array rows = {
    Row{Metric::target, "hanat_target", "gauge", "1 for the server that gets new connections; \"none\": no server does"},
    Row{Metric::forced, "hanat_forced", "gauge", "1 while an operator's override pins the target"},
    Row{Metric::flips, "hanat_flips_total", "counter", "Changes of the target, by reason"},
    Row{Metric::cut, "hanat_cut_total", "counter", "Flows of old targets whose conntrack entries were deleted"},
    Row{Metric::nudged, "hanat_nudged_total", "counter", "Clients that a nudge was sent to after a flip"},
    Row{Metric::drained, "hanat_drained_total", "counter", "Flows of old targets that ended by themselves while draining or kept"},
    Row{Metric::old_flows, "hanat_old_flows", "gauge", "Flows of old targets that are draining or kept; absent: none, or not counted yet"},
    Row{Metric::unanswered, "hanat_clients_unanswered_total", "counter",
        "Connections of clients that got no answer although the target passed its probes; at least so many"},
    Row{Metric::refused, "hanat_clients_refused_total", "counter", "Connections of clients that a server refused; at least so many"},
    Row{Metric::path, "hanat_path_state", "gauge",
        "1 while clients get no answer although the target passes its probes; 0: they are answered, or none is seen"},
    Row{Metric::redundancy, "hanat_redundancy", "gauge", "Servers beside the target that are up and not disabled: so many may still fail"},
    Row{Metric::flip_time, "hanat_last_flip_timestamp_seconds", "gauge",
        "Time of the last change of the target, also before the start; absent: none is known"},
    Row{Metric::flip_commit, "hanat_last_flip_commit_seconds", "gauge", "Time from decision to kernel acknowledgement of the last flip"},
    Row{Metric::up, "hanat_up", "gauge", "1 while the server is up"},
    Row{Metric::full, "hanat_full", "gauge", "1 while the server works and takes no more clients"},
    Row{Metric::unknown, "hanat_unknown", "gauge", "1 while the health of the server is unknown"},
    Row{Metric::disabled, "hanat_disabled", "gauge", "1 while an operator has taken the server out of service"},
    Row{Metric::fails, "hanat_probe_fails", "gauge", "Failed probes in the server's failure window"},
    Row{Metric::latency, "hanat_probe_latency_seconds", "gauge", "Latency of the last probe"},
    Row{Metric::age, "hanat_probe_age_seconds", "gauge", "Age of the last probe result"},
    Row{Metric::results, "hanat_probe_results_total", "counter", "Results of probes by outcome and reason; absent: none of that kind yet"},
    Row{Metric::duration, "hanat_probe_duration_seconds", "histogram", "How long probes took that passed, of all servers of the service"},
    Row{Metric::pass_time, "hanat_probe_pass_seconds_total", "counter",
        "How long probes took that passed, all together; by the number of them: their mean"},
    Row{Metric::new_flows, "hanat_new_flows_total", "counter",
        "New flows that the kernel gave to the server, as of the read before; at least so many"},
    Row{Metric::certificate, "hanat_certificate_expires_seconds", "gauge",
        "Time until the server's certificate expires, negative: since then; absent: no probe has seen one"},
    Row{Metric::flapping, "hanat_flapping", "gauge",
        "How often the server lost the traffic soon after it got it, without what is forgiven"},
    Row{Metric::failback_wait, "hanat_failback_wait_seconds", "gauge",
        "How long the server must be up before it gets the traffic, because it is flapping"},
    Row{Metric::warning, "hanat_probe_warning", "gauge", "1 while a probe of the server passes with a warning"},
    Row{Metric::new_probes, "hanat_new_probes_failing", "gauge",
        "1 while new probes of the server, of a reload, do not pass: those of before decide"},
    Row{Metric::name, "hanat_name_failing", "gauge",
        "1 while the name of the server cannot be resolved: its last good address stays in use; absent: it has no name"},
    Row{Metric::outage, "hanat_outage_doubted", "gauge",
        "1 while no server answers and the traffic stays, because that may be the gateway's own failure"},
    Row{Metric::addresses, "hanat_listen_addresses", "gauge",
        "Addresses of an interface that the service listens on; absent: it listens on none by an interface"},
};

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || c == '"') result += '\\';
    result += c == '\n' ? std::string{"\\n"} : std::string{c};
  }
  return result;
}

std::string heading(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

/// Adds a line; `labels` are escaped already.
template <typename Number> void line(std::vector<MetricLines>& families, Metric metric, std::string_view labels, Number value) {
  const auto number = static_cast<std::size_t>(metric);
  fmt::format_to(std::back_inserter(families[number].next()), "{}{{{}}} {}\n", rows[number].name, labels, value);
}

/// A sum, or the count of a class and those below it.
template <typename Number> void part(std::vector<MetricLines>& families, std::string_view part, std::string_view labels, Number value) {
  const auto number = static_cast<std::size_t>(Metric::duration);
  fmt::format_to(std::back_inserter(families[number].next()), "{}_{}{{{}}} {}\n", rows[number].name, part, labels, value);
}

void add_results(std::vector<MetricLines>& families, const ProbeTotalsStatus& totals, const std::string& label) {
  for (const ResultCountStatus& result : totals.results)
    line(families, Metric::results, fmt::format("{},outcome=\"{}\",reason=\"{}\"", label, escaped(result.outcome), escaped(result.reason)),
         result.number);
  line(families, Metric::pass_time, label, fmt::format("{:.3f}", totals.latency_sum_s));
}

/// Of a service, not of each of its servers: these would be a third of the text, and a slow server is seen by its mean and its last probe.
void add_durations(std::vector<MetricLines>& families, const TotalsStatus& totals, const std::string& label) {
  if (totals.latencies.size() != probes::latency_limits_s.size() + 1) return; // of a hanatd with other classes
  std::uint64_t count = 0;
  for (std::size_t index = 0; index < totals.latencies.size(); ++index) {
    count += totals.latencies[index];
    const std::string limit = index < probes::latency_limits_s.size() ? fmt::format("{:g}", probes::latency_limits_s[index]) : "+Inf";
    part(families, "bucket", fmt::format("{},le=\"{}\"", label, limit), count);
  }
  part(families, "sum", label, fmt::format("{:.3f}", totals.latency_sum_s));
  part(families, "count", label, count);
}

/// The first of the server's certificates to expire.
std::optional<double> certificate_left(const ServerStatus& server) {
  std::optional<double> left;
  const auto add = [&left](const std::optional<LastResult>& last) {
    if (last && last->certificate_left_s) left = std::min(left.value_or(*last->certificate_left_s), *last->certificate_left_s);
  };
  add(server.last);
  for (const ProbeStatus& probe : server.probes) add(probe.last);
  return left;
}

std::size_t redundancy_of(const ServiceStatus& service) {
  return static_cast<std::size_t>(std::ranges::count_if(service.servers, [&](const ServerStatus& server) {
    return server.role != service.target && !server.disabled && !server.former_since && server.group_health.value_or(server.health) == "up";
  }));
}

constexpr bool in_order() {
  for (std::size_t number = 0; number < rows.size(); ++number)
    if (static_cast<std::size_t>(rows[number].metric) != number) return false;
  return true;
}
static_assert(in_order());

// Of the programs of a pair.
constexpr std::array<std::string_view, 4> conntrackd_states{"unknown", "ok", "absent", "behind"};
constexpr std::array<std::string_view, 3> keepalived_states{"unknown", "ok", "absent"};

/// One line for each of the states.
std::string state_text(std::string_view name, std::string_view help, std::span<const std::string_view> states, std::string_view state) {
  std::string text = heading(name, "gauge", help);
  for (const std::string_view one : states) text += fmt::format("{}{{state=\"{}\"}} {}\n", name, one, state == one ? 1 : 0);
  return text;
}

/// The other gateway of a pair.
std::string peer_text(const PeerStatus& peer) {
  const auto gauge = [](std::string_view name, std::string_view help, auto value) {
    return heading(name, "gauge", help) + fmt::format("{} {}\n", name, value);
  };
  std::string text = gauge("hanat_peer_up", "1 while the other gateway of the pair answers", is_lost(peer) ? 0 : 1);
  if (peer.seen_s) text += gauge("hanat_peer_seen_seconds", "Time since the last answer of the other gateway", *peer.seen_s);
  text += gauge("hanat_peer_agrees", "1 while both gateways have the same targets", peer.agrees ? 1 : 0);
  text += gauge("hanat_peer_differences", "Differences between the configurations of the gateways", peer.differs.size());
  text += gauge("hanat_peer_both_active", "1 while both gateways are active", peer.both_active ? 1 : 0);
  text += gauge("hanat_peer_none_active", "1 while both gateways are standby", peer.none_active ? 1 : 0);
  text += state_text("hanat_peer_conntrackd", "1 for what is known of conntrackd on the other gateway", conntrackd_states, peer.conntrackd);
  text += state_text("hanat_peer_keepalived", "1 for what is known of keepalived on the other gateway", keepalived_states, peer.keepalived);
  if (peer.lag_ms)
    text += gauge("hanat_peer_lag_seconds", "From the last change on the active gateway until it was followed here", *peer.lag_ms / 1e3);
  return text;
}

/// The programs that are told of events.
std::string hooks_text(const HookStatus& hooks) {
  std::string text = heading("hanat_hook_calls_total", "counter", "Calls of hooks that ended, by result");
  for (const auto& [result, count] : hooks.calls)
    text += fmt::format("hanat_hook_calls_total{{result=\"{}\"}} {}\n", escaped(result), count);
  return text + heading("hanat_hook_events_total", "counter", "Events that hooks were called for") +
         fmt::format("hanat_hook_events_total {}\n", hooks.events) + heading("hanat_hooks_running", "gauge", "Hooks that run now") +
         fmt::format("hanat_hooks_running {}\n", hooks.running) +
         heading("hanat_hook_events_waiting", "gauge", "Events that no hook was called for yet") +
         fmt::format("hanat_hook_events_waiting {}\n", hooks.waiting);
}

} // namespace

MetricsText::MetricsText(const DaemonStatus& daemon) : families_(rows.size()) {
  daemon_ =
      heading("hanat_info", "gauge", "Always 1") + fmt::format("hanat_info{{version=\"{}\"}} 1\n", escaped(daemon.version)) +
      heading("hanat_uptime_seconds", "gauge", "Time since hanatd started") + fmt::format("hanat_uptime_seconds {}\n", daemon.uptime_s) +
      heading("hanat_kernel_in_step", "gauge", "1 while the nftables table matches what hanatd decided") +
      fmt::format("hanat_kernel_in_step {}\n", daemon.kernel == "in-step" ? 1 : 0) +
      heading("hanat_kernel_state", "gauge", "1 for the current state") +
      [&] {
        std::string lines;
        for (const std::string_view state : {"in-step", "repairing", "failed"})
          lines += fmt::format("hanat_kernel_state{{state=\"{}\"}} {}\n", state, daemon.kernel == state ? 1 : 0);
        return lines;
      }() +
      heading("hanat_blind", "gauge", "1 while probes are inconclusive because of a local failure") +
      fmt::format("hanat_blind {}\n", daemon.inconclusive ? 1 : 0) +
      heading("hanat_config_refused", "gauge", "1 while the files of the configuration were refused when they were last read") +
      fmt::format("hanat_config_refused {}\n", daemon.reload_refused || daemon.fallback ? 1 : 0) +
      heading("hanat_config_stale", "gauge", "1 while the files of the configuration on disk are not those in use") +
      fmt::format("hanat_config_stale {}\n", daemon.config_stale ? 1 : 0) +
      heading("hanat_config_unconfirmed", "gauge", "1 while a configuration is on trial and waits for hanatctl confirm") +
      fmt::format("hanat_config_unconfirmed {}\n", daemon.unconfirmed ? 1 : 0) +
      heading("hanat_config_reverted", "gauge", "1 while the configuration of before a trial is in use, because nobody confirmed it") +
      fmt::format("hanat_config_reverted {}\n", daemon.reverted ? 1 : 0) +
      heading("hanat_forwarding_off", "gauge", "1 while this machine forwards no packets of one family, and clients reach no server") +
      fmt::format("hanat_forwarding_off {}\n", daemon.findings.empty() ? 0 : 1) +
      heading("hanat_reload_hangs", "gauge", "1 while a reload waits for its files") +
      fmt::format("hanat_reload_hangs {}\n", daemon.reload_hangs ? 1 : 0);
  if (const auto& pair = daemon.pair) {
    daemon_ += heading("hanat_pair_role", "gauge", "1 for the role of this gateway in a pair");
    for (const std::string_view role : {"standby", "settling", "active"})
      daemon_ += fmt::format("hanat_pair_role{{role=\"{}\"}} {}\n", role, pair->role == role ? 1 : 0);
    if (const auto since = parse_wall_time(pair->since))
      daemon_ +=
          heading("hanat_pair_role_since_timestamp_seconds", "gauge", "Since when the gateway has this role") +
          fmt::format("hanat_pair_role_since_timestamp_seconds {:.3f}\n", std::chrono::duration<double>(since->time_since_epoch()).count());
    daemon_ += heading("hanat_pair_settled", "gauge", "1 while the gateway is active and waits for no connections of the other one") +
               fmt::format("hanat_pair_settled {}\n", pair->settled ? 1 : 0);
    daemon_ += state_text("hanat_pair_conntrackd", "1 for what is known of conntrackd, which carries connections to the other gateway",
                          conntrackd_states, pair->conntrackd);
    daemon_ += state_text("hanat_pair_keepalived", "1 for what is known of keepalived, or of another program here that speaks VRRP",
                          keepalived_states, pair->keepalived);
    if (pair->peer) daemon_ += peer_text(*pair->peer);
  }
  if (daemon.hooks) daemon_ += hooks_text(*daemon.hooks);
  if (const auto at = daemon.config_loaded_at ? parse_wall_time(*daemon.config_loaded_at) : std::nullopt)
    daemon_ += heading("hanat_config_loaded_timestamp_seconds", "gauge", "When the configuration in use was loaded") +
               fmt::format("hanat_config_loaded_timestamp_seconds {:.3f}\n", std::chrono::duration<double>(at->time_since_epoch()).count());
}

void MetricsText::add(const ServiceStatus& service) {
  ++services_;
  const std::string label = fmt::format("service=\"{}\"", escaped(service.name));
  for (const ServerStatus& server : service.servers) add(server, label, server.role == service.target);
  line(families_, Metric::target, label + ",server=\"none\"", service.target == "none" ? 1 : 0);
  line(families_, Metric::forced, label, service.forced ? 1 : 0);
  auto flips = service.totals.flips;
  for (const char* why : {"failover", "full", "failback", "recovered", "forced", "drill", "disabled", "configuration", "no-server-up"})
    flips.try_emplace(why, 0U); // rate() needs the zero before the first
  for (const auto& [why, count] : flips) line(families_, Metric::flips, fmt::format("{},why=\"{}\"", label, escaped(why)), count);
  line(families_, Metric::cut, label + ",protocol=\"tcp\"", service.totals.cut.tcp);
  line(families_, Metric::cut, label + ",protocol=\"udp\"", service.totals.cut.udp);
  line(families_, Metric::cut, label + ",protocol=\"sctp\"", service.totals.cut.sctp);
  add_durations(families_, service.totals, label);
  line(families_, Metric::unanswered, label, service.totals.clients_unanswered);
  line(families_, Metric::refused, label, service.totals.clients_refused);
  line(families_, Metric::path, label, service.path.state == "unanswered" ? 1 : 0);
  line(families_, Metric::redundancy, label, redundancy_of(service));
  line(families_, Metric::outage, label, service.outage ? 1 : 0);
  std::map<std::string, std::size_t> addresses; // of an interface there may be several entries
  for (const ListenStatus& listener : service.interfaces)
    addresses[listener.interface] = std::max(addresses[listener.interface], listener.addresses.size());
  for (const auto& [interface, count] : addresses)
    line(families_, Metric::addresses, fmt::format("{},interface=\"{}\"", label, escaped(interface)), count);
  line(families_, Metric::nudged, label, service.totals.nudged);
  std::uint64_t drained = service.totals.drained;
  std::map<std::string, std::uint64_t> left; // a server may have both kept and draining flows
  for (const DrainingStatus& draining : service.draining) {
    drained += draining.drained;
    if (draining.left) left[draining.server] += *draining.left;
  }
  line(families_, Metric::drained, label, drained);
  for (const auto& [server, flows] : left)
    line(families_, Metric::old_flows, fmt::format("{},server=\"{}\"", label, escaped(server)), flows);
  if (!service.last_flip) return;
  if (const auto at = parse_wall_time(service.last_flip->at))
    line(families_, Metric::flip_time, label, fmt::format("{:.3f}", std::chrono::duration<double>(at->time_since_epoch()).count()));
  line(families_, Metric::flip_commit, label, static_cast<double>(service.last_flip->commit_us) / 1e6);
}

void MetricsText::add(const ServerStatus& server, const std::string& service, bool is_target) {
  const std::string label = fmt::format("{},server=\"{}\"", service, escaped(server.role));
  line(families_, Metric::target, label, is_target ? 1 : 0);
  line(families_, Metric::up, fmt::format("{},address=\"{}\"", label, escaped(server.address)), server.health == "up" ? 1 : 0);
  line(families_, Metric::full, label, server.health == "full" ? 1 : 0);
  line(families_, Metric::unknown, label, server.health == "unknown" ? 1 : 0);
  line(families_, Metric::disabled, label, server.disabled ? 1 : 0);
  line(families_, Metric::fails, label, server.fails.count);
  line(families_, Metric::flapping, label, server.flapping ? server.flapping->times : 0U);
  line(families_, Metric::failback_wait, label, server.flapping ? server.flapping->wait_s : 0.0);
  line(families_, Metric::warning, label, server.warning ? 1 : 0);
  line(families_, Metric::new_probes, label, server.new_probes && server.new_probes->failing ? 1 : 0);
  if (const auto& name = server.name)
    line(families_, Metric::name, fmt::format("{},name=\"{}\"", label, escaped(name->name)), name->error ? 1 : 0);
  if (server.totals) add_results(families_, *server.totals, label);
  if (server.new_flows) line(families_, Metric::new_flows, label, *server.new_flows);
  if (const auto left = certificate_left(server)) line(families_, Metric::certificate, label, fmt::format("{:.0f}", *left));
  if (!server.last || server.last->reason == "not-resolved") return; // nothing was sent
  line(families_, Metric::latency, label,
       fmt::format("{:.9g}", server.last->latency_ms / 1e3)); // without the rounding noise of the division
  line(families_, Metric::age, label, server.last->age_s);
}

std::string& MetricLines::next() {
  if (pieces_.empty() || pieces_.back().size() >= piece_size) pieces_.emplace_back();
  return pieces_.back();
}

std::vector<std::string> MetricsText::take_pieces() {
  std::vector<std::string> pieces{std::move(daemon_)};
  pieces.front() += heading("hanat_services", "gauge", "Configured services") + fmt::format("hanat_services {}\n", services_);
  for (const Row& row : rows) {
    std::vector<std::string> lines = families_[static_cast<std::size_t>(row.metric)].take();
    if (lines.empty()) continue;
    pieces.push_back(heading(row.name, row.type, row.help));
    std::ranges::move(lines, std::back_inserter(pieces));
  }
  return pieces;
}

std::string MetricsText::take() {
  std::string text;
  for (const std::string& piece : take_pieces()) text += piece;
  return text;
}

std::string metrics_text(const Status& status) {
  MetricsText text{status.daemon};
  for (const ServiceStatus& service : status.services) text.add(service);
  return text.take();
}

} // namespace hanat
