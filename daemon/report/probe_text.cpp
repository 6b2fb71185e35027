// One case a kind of probe.
#include "daemon/report/probe_text.hpp"

#include <chrono>
#include <string_view>

#include <fmt/format.h>

#include "daemon/util/duration.hpp"

namespace hanat {
namespace {

using probes::Kind;
using probes::ProbeSpec;

constexpr std::size_t longest_pattern = 40;

/// "reply with \"OK\""; empty: anything passes.
std::string with(std::string_view what, const probes::Pattern& pattern) {
  return pattern.empty() ? "" : fmt::format("{} with \"{}\"", what, probes::sanitized(pattern.source(), longest_pattern));
}

std::string statuses(const probes::HttpSpec& http) {
  if (http.status.empty()) return "status 200-299";
  std::string text = "status ";
  for (const auto& [first, last] : http.status) {
    if (text.back() != ' ') text += ", ";
    text += first == last ? fmt::to_string(first) : fmt::format("{}-{}", first, last);
  }
  return text;
}

std::string answer_of(const probes::DnsSpec& dns) {
  return dns.answer.empty() ? fmt::format("a record {} of {}", dns.record, probes::sanitized(dns.name, longest_pattern))
                            : fmt::format("{} {}", dns.record, probes::sanitized(dns.answer, longest_pattern));
}

std::string answer_of(const probes::RedisSpec& redis) {
  if (redis.master) return "PONG, and role:master";
  if (redis.linked) return "PONG, and master_link_status:up";
  return redis.replica ? "PONG, and role:slave" : "PONG";
}

std::string answer_of(const probes::SqlSpec& sql) {
  if (sql.writable) return "a server that takes writes";
  if (sql.wsrep_ready) return "wsrep_ready";
  if (sql.member_online) return "a member that is ONLINE";
  if (sql.max_lag) return "a lag of at most " + duration_text(*sql.max_lag);
  if (sql.in_recovery) return *sql.in_recovery ? "a server in recovery" : "a server that is not in recovery";
  return sql.password.secret.empty() ? "" : "a login";
}

std::string wanted_answer(const ProbeSpec& spec) {
  switch (spec.kind) {
  case Kind::tcp:
  case Kind::udp: return with("reply", spec.of<probes::SendExpectSpec>().expect);
  case Kind::http:
  case Kind::https: return with("body", spec.of<probes::HttpSpec>().body);
  case Kind::dns: return answer_of(spec.of<probes::DnsSpec>());
  case Kind::grpc: return "SERVING";
  case Kind::redis: return answer_of(spec.of<probes::RedisSpec>());
  case Kind::postgres:
  case Kind::mysql: return answer_of(spec.of<probes::SqlSpec>());
  case Kind::agent: return "up or ready";
  case Kind::exec: return "exit status 0";
  case Kind::tls:
  case Kind::icmp:
  case Kind::smtp: return "";
  }
  return "";
}

std::string days_of(const ProbeSpec& spec) {
  const auto days = spec.kind == Kind::tls ? spec.of<probes::TlsSpec>().expires_within : spec.of<probes::HttpSpec>().expires_within;
  return fmt::format("valid for more than {} day{}", days.count(), days.count() == 1 ? "" : "s");
}

} // namespace

std::string name_of(const probes::Probe& probe) {
  std::string text = fmt::format("{} {}", to_text(probe.spec.kind), to_text(probe.server));
  switch (probe.spec.kind) {
  case Kind::http:
  case Kind::https: {
    const auto& http = probe.spec.of<probes::HttpSpec>();
    return fmt::format("{} {} {}", text, http.method, probes::sanitized(http.path, longest_pattern));
  }
  case Kind::dns: return fmt::format("{} {}", text, probes::sanitized(probe.spec.of<probes::DnsSpec>().name, longest_pattern));
  case Kind::exec: {
    const auto& command = probe.spec.of<probes::ExecSpec>().command;
    return fmt::format("{} {}", text, command.empty() ? "" : probes::sanitized(command.front(), longest_pattern));
  }
  case Kind::tcp:
  case Kind::tls:
  case Kind::icmp:
  case Kind::udp:
  case Kind::grpc:
  case Kind::redis:
  case Kind::postgres:
  case Kind::mysql:
  case Kind::smtp:
  case Kind::agent: return text;
  }
  return text;
}

std::string wanted_by(const ProbeSpec& spec, probes::Reason reason) {
  if (reason == probes::Reason::wrong_status) return statuses(spec.of<probes::HttpSpec>());
  if (reason == probes::Reason::wrong_answer) return wanted_answer(spec);
  if (reason == probes::Reason::slow && spec.slow) return "within " + duration_text(*spec.slow);
  if (reason == probes::Reason::certificate_expires) return days_of(spec);
  return "";
}

} // namespace hanat
