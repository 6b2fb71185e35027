// What a service's status is by its JSON, key by key: once for a tree of nlohmann's, and once for a view of a text that simdjson has
// parsed, which takes a fraction of the time. Not here: writing it (status_keys), where each is used (status, status_call).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/api/status.hpp"

namespace hanat {

template <class T, class Tree> std::optional<T> optional_at(const Tree& from, const char* key) {
  const auto& value = from.at(key);
  return value.is_null() ? std::nullopt : std::optional<T>{value.template get<T>()};
}
/// For keys that an older daemon does not send.
template <class T, class Tree> std::optional<T> optional_or_absent(const Tree& from, const char* key) {
  return from.contains(key) ? optional_at<T>(from, key) : std::nullopt;
}
template <class T, class Tree> T value_or_default(const Tree& from, const char* key) {
  return optional_or_absent<T>(from, key).value_or(T{});
}

template <class Tree> LastResult last_from(const Tree& from) {
  return {.outcome = from.at("outcome"),
          .reason = from.at("reason"),
          .detail = value_or_default<std::string>(from, "detail"),
          .wanted = value_or_default<std::string>(from, "wanted"),
          .latency_ms = from.at("latency_ms"),
          .age_s = from.at("age_s"),
          .certificate_left_s = optional_or_absent<double>(from, "certificate_left_s")};
}

template <class Tree> FailbackStatus failback_from(const Tree& from) {
  return {.mode = from.at("mode"), .to = optional_at<std::string>(from, "to"), .waits_for = optional_at<std::string>(from, "waits_for")};
}

template <class Tree> FailsStatus fails_from(const Tree& from) {
  return {.count = from.at("count"), .of = from.at("of"), .within_s = from.at("within_s")};
}

template <class Tree> ProbeStatus probe_from(const Tree& from) {
  ProbeStatus probe{.name = from.at("name"), .health = from.at("health"), .fails = fails_from(from.at("fails")), .last = {}};
  if (const auto& last = from.at("last"); !last.is_null()) probe.last = last_from(last);
  return probe;
}

template <class Tree> ReportStatus report_from(const Tree& from) {
  return {
      .health = from.at("health"), .since = from.at("since"), .until = from.at("until"), .reason = from.at("reason"), .by = from.at("by")};
}
template <class Tree> DisabledStatus disabled_from(const Tree& from) {
  return {.since = from.at("since"), .until = optional_at<std::string>(from, "until"), .reason = from.at("reason"), .by = from.at("by")};
}

template <class Tree> std::vector<ProbeStatus> probes_from(const Tree& from) {
  std::vector<ProbeStatus> probes;
  for (const auto& one : from) probes.push_back(probe_from(one));
  return probes;
}

template <class Tree> NewProbesStatus new_probes_from(const Tree& from) {
  return {.since = from.at("since"), .failing = from.at("failing"), .probes = probes_from(from.at("probes"))};
}

template <class Tree> ServerStatus server_from(const Tree& from) {
  ServerStatus server{.role = from.at("role"),
                      .address = from.at("address"),
                      .addresses = value_or_default<std::vector<std::string>>(from, "addresses"),
                      .health = from.at("health"),
                      .drains = value_or_default<bool>(from, "drains"),
                      .group_health = optional_or_absent<std::string>(from, "group_health"),
                      .fails = fails_from(from.at("fails")),
                      .last = std::nullopt};
  if (from.contains("disabled")) server.disabled = disabled_from(from.at("disabled"));
  if (from.contains("report")) server.report = report_from(from.at("report"));
  server.recovering = optional_or_absent<RecoveringStatus>(from, "recovering");
  if (from.contains("new_probes")) server.new_probes = new_probes_from(from.at("new_probes"));
  server.name = optional_or_absent<NameStatus>(from, "name");
  server.former_since = optional_or_absent<std::string>(from, "former_since");
  server.flapping = optional_or_absent<FlappingStatus>(from, "flapping");
  server.warning = optional_or_absent<WarningStatus>(from, "warning");
  // Every server has them: not by a tree of its own, as what few have.
  if (from.contains("totals") && !from.at("totals").is_null()) server.totals = probe_totals_from(from.at("totals"));
  server.new_flows = optional_or_absent<std::uint64_t>(from, "new_flows");
  if (const auto& last = from.at("last"); !last.is_null()) server.last = last_from(last);
  if (from.contains("probes")) server.probes = probes_from(from.at("probes"));
  return server;
}

template <class Tree> ForcedStatus forced_from(const Tree& from) {
  return {.target = from.at("target"),
          .until = optional_at<std::string>(from, "until"),
          .reason = from.at("reason"),
          .by = from.at("by"),
          .until_down = value_or_default<bool>(from, "until_down"),
          .drill = value_or_default<bool>(from, "drill")};
}

template <class Tree> CutStatus cut_from(const Tree& from) {
  return {.tcp = from.at("tcp"), .udp = from.at("udp"), .sctp = from.at("sctp")};
}

template <class Tree> FlipStatus flip_from(const Tree& from) {
  return {.at = from.at("at"),
          .from = from.at("from"),
          .to = from.at("to"),
          .why = from.at("why"),
          .commit_us = from.at("commit_us"),
          .cut = cut_from(from.at("cut")),
          .nudged = from.at("nudged"),
          .drained = value_or_default<std::uint64_t>(from, "drained"),
          .left = from.contains("left") ? optional_at<std::uint64_t>(from, "left") : std::optional<std::uint64_t>{0},
          .drain_ends_in_s = optional_or_absent<double>(from, "drain_ends_in_s"),
          .cut_ms = optional_at<double>(from, "cut_ms"),
          .interrupted = value_or_default<bool>(from, "interrupted")};
}

template <class Tree> DrainingStatus draining_from(const Tree& from) {
  return {.server = from.at("server"),
          .address = from.at("address"),
          .drained = from.at("drained"),
          .left = optional_at<std::uint64_t>(from, "left"),
          .ends_in_s = optional_at<double>(from, "ends_in_s")};
}

template <class Tree> PathStatus path_from(const Tree& from) {
  return {.state = from.at("state"),
          .unanswered_clients = from.at("unanswered_clients"),
          .refused_clients = from.at("refused_clients"),
          .since = optional_at<std::string>(from, "since"),
          .findings = from.at("findings").template get<std::vector<FindingStatus>>()};
}

template <class Tree> TotalsStatus totals_from(const Tree& from) {
  return {.flips = from.at("flips").template get<std::map<std::string, std::uint64_t>>(),
          .cut = cut_from(from.at("cut")),
          .nudged = from.at("nudged"),
          .drained = value_or_default<std::uint64_t>(from, "drained"),
          .clients_unanswered = value_or_default<std::uint64_t>(from, "clients_unanswered"),
          .clients_refused = value_or_default<std::uint64_t>(from, "clients_refused"),
          .latencies = value_or_default<std::vector<std::uint64_t>>(from, "latencies"),
          .latency_sum_s = value_or_default<double>(from, "latency_sum_s")};
}

template <class Tree> ServiceStatus service_from(const Tree& from) {
  ServiceStatus service{.name = from.at("name"),
                        .target = from.at("target"),
                        .target_address = optional_at<std::string>(from, "target_address"),
                        .since = from.at("since"),
                        .why = from.at("why"),
                        .mode = from.at("mode"),
                        .would_target = optional_or_absent<std::string>(from, "would_target"),
                        .would_why = optional_or_absent<std::string>(from, "would_why"),
                        .in_table = value_or_default<bool>(from, "in_table"),
                        .standby = value_or_default<bool>(from, "standby"),
                        .offload = optional_or_absent<bool>(from, "offload"),
                        .group = optional_or_absent<std::string>(from, "group"),
                        .forced = std::nullopt,
                        .failback_in_s = optional_at<double>(from, "failback_in_s"),
                        .failback = from.contains("failback") ? failback_from(from.at("failback")) : FailbackStatus{},
                        .flips = from.at("flips"),
                        .listen = from.at("listen").template get<std::vector<std::string>>(),
                        .servers = {},
                        .last_flip = std::nullopt,
                        .draining = {},
                        .cutting = value_or_default<std::vector<std::string>>(from, "cutting"),
                        .foreign = {},
                        .path = {},
                        .outage = optional_or_absent<OutageStatus>(from, "outage"),
                        .witness = optional_or_absent<WitnessStatus>(from, "witness"),
                        .interfaces = value_or_default<std::vector<ListenStatus>>(from, "interfaces"),
                        .totals = {}};
  if (const auto& forced = from.at("forced"); !forced.is_null()) service.forced = forced_from(forced);
  for (const auto& server : from.at("servers")) service.servers.push_back(server_from(server));
  if (const auto& flip = from.at("last_flip"); !flip.is_null()) service.last_flip = flip_from(flip);
  if (from.contains("draining"))
    for (const auto& one : from.at("draining")) service.draining.push_back(draining_from(one));
  if (from.contains("foreign"))
    for (const auto& one : from.at("foreign"))
      service.foreign.push_back({.listen = one.at("listen"), .server = one.at("server"), .flows = one.at("flows")});
  if (from.contains("path")) service.path = path_from(from.at("path"));
  if (from.contains("totals")) service.totals = totals_from(from.at("totals"));
  return service;
}

} // namespace hanat
