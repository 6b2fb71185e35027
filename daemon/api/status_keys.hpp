// What a status and an entry of the history have in JSON, key by key: once for text and for a tree. Not here: reading them (status), parts
// with a file of their own (probe_totals_status), the declared types (methods).
#pragma once

#include <cmath>
#include <optional>

#include "daemon/api/rounded.hpp"
#include "daemon/api/status.hpp"

namespace hanat {

inline std::optional<double> rounded(const std::optional<double>& value) { return value ? std::optional{rounded(*value)} : std::nullopt; }

template <class To> void describe(To&& to, const FailsStatus& fails) {
  to("count", fails.count);
  to("of", fails.of);
  to("within_s", rounded(fails.within_s));
}

template <class To> void describe(To&& to, const LastResult& last) {
  to("outcome", last.outcome);
  to("reason", last.reason);
  to("latency_ms", rounded(last.latency_ms));
  to("age_s", rounded(last.age_s));
  if (!last.detail.empty()) to("detail", last.detail);
  if (!last.wanted.empty()) to("wanted", last.wanted);
  if (last.certificate_left_s) to("certificate_left_s", std::round(*last.certificate_left_s));
}

template <class To> void describe(To&& to, const ProbeStatus& probe) {
  to("name", probe.name);
  to("health", probe.health);
  to("fails", probe.fails);
  to("last", probe.last);
}

template <class To> void describe(To&& to, const ReportStatus& report) {
  to("health", report.health);
  to("since", report.since);
  to("until", report.until);
  to("reason", report.reason);
  to("by", report.by);
}

template <class To> void describe(To&& to, const DisabledStatus& disabled) {
  to("since", disabled.since);
  to("until", disabled.until);
  to("reason", disabled.reason);
  to("by", disabled.by);
}

template <class To> void describe(To&& to, const NewProbesStatus& fresh) {
  to("since", fresh.since);
  to("failing", fresh.failing);
  to("probes", fresh.probes);
}

template <class To> void describe(To&& to, const ServerStatus& server) {
  to("role", server.role);
  to("address", server.address);
  to("health", server.health);
  to("fails", server.fails);
  to("last", server.last);
  if (!server.addresses.empty()) to("addresses", server.addresses);
  if (server.drains) to("drains", true);
  if (server.group_health) to("group_health", server.group_health);
  if (server.recovering) to("recovering", server.recovering);
  if (server.flapping) to("flapping", server.flapping);
  if (server.warning) to("warning", server.warning);
  if (server.totals) to("totals", server.totals);
  if (server.new_flows) to("new_flows", server.new_flows);
  if (!server.probes.empty()) to("probes", server.probes);
  if (server.disabled) to("disabled", server.disabled);
  if (server.report) to("report", server.report);
  if (server.new_probes) to("new_probes", server.new_probes);
  if (server.name) to("name", server.name);
  if (server.former_since) to("former_since", server.former_since);
}

template <class To> void describe(To&& to, const ForcedStatus& forced) {
  to("target", forced.target);
  to("until", forced.until);
  to("reason", forced.reason);
  to("by", forced.by);
  if (forced.until_down) to("until_down", true);
  if (forced.drill) to("drill", true);
}

template <class To> void describe(To&& to, const CutStatus& cut) {
  to("tcp", cut.tcp);
  to("udp", cut.udp);
  to("sctp", cut.sctp);
}

template <class To> void describe(To&& to, const FlipStatus& flip) {
  to("at", flip.at);
  to("from", flip.from);
  to("to", flip.to);
  to("why", flip.why);
  to("commit_us", flip.commit_us);
  to("cut", flip.cut);
  to("nudged", flip.nudged);
  to("drained", flip.drained);
  to("left", flip.left);
  to("drain_ends_in_s", rounded(flip.drain_ends_in_s));
  to("cut_ms", rounded(flip.cut_ms));
  if (flip.interrupted) to("interrupted", true);
}

template <class To> void describe(To&& to, const DrainingStatus& draining) {
  to("server", draining.server);
  to("address", draining.address);
  to("drained", draining.drained);
  to("left", draining.left);
  to("ends_in_s", rounded(draining.ends_in_s));
}

template <class To> void describe(To&& to, const ForeignStatus& foreign) {
  to("listen", foreign.listen);
  to("server", foreign.server);
  to("flows", foreign.flows);
}

template <class To> void describe(To&& to, const FailbackStatus& failback) {
  to("mode", failback.mode);
  to("to", failback.to);
  to("waits_for", failback.waits_for);
}

template <class To> void describe(To&& to, const PathStatus& path) {
  to("state", path.state);
  to("unanswered_clients", path.unanswered_clients);
  to("refused_clients", path.refused_clients);
  to("since", path.since);
  to("findings", path.findings);
}

template <class To> void describe(To&& to, const TotalsStatus& totals) {
  to("flips", totals.flips);
  to("cut", totals.cut);
  to("nudged", totals.nudged);
  to("drained", totals.drained);
  to("clients_unanswered", totals.clients_unanswered);
  to("clients_refused", totals.clients_refused);
  to("latencies", totals.latencies);
  to("latency_sum_s", rounded(totals.latency_sum_s));
}

template <class To> void describe(To&& to, const ServiceStatus& service) {
  to("name", service.name);
  to("target", service.target);
  to("target_address", service.target_address);
  to("since", service.since);
  to("why", service.why);
  to("mode", service.mode);
  to("group", service.group);
  to("forced", service.forced);
  to("failback_in_s", rounded(service.failback_in_s));
  to("failback", service.failback);
  to("flips", service.flips);
  to("listen", service.listen);
  to("servers", service.servers);
  to("last_flip", service.last_flip);
  to("path", service.path);
  to("totals", service.totals);
  if (!service.draining.empty()) to("draining", service.draining);
  if (!service.cutting.empty()) to("cutting", service.cutting);
  if (!service.foreign.empty()) to("foreign", service.foreign);
  if (service.outage) to("outage", service.outage);
  if (service.witness) to("witness", service.witness);
  if (!service.interfaces.empty()) to("interfaces", service.interfaces);
  if (service.would_target) to("would_target", service.would_target);
  if (service.would_why) to("would_why", service.would_why);
  if (service.in_table) to("in_table", true);
  if (service.standby) to("standby", true);
  if (service.offload) to("offload", service.offload);
}

} // namespace hanat
