// Reports of nf_tables about one packet, written as in a story, and rulesets to go with them. Not here: what follows from them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daemon/doctor/culprit.hpp"
#include "daemon/doctor/traced_packet.hpp"

namespace hanat {

inline const Address traced_client = Address::parse("198.18.0.7").value();
inline const Vip traced_web{.address = Address::parse("203.0.113.10").value(), .protocol = Protocol::tcp, .port = 443};
inline const Endpoint traced_server{Address::parse("10.0.0.11").value(), 8443};
inline const Endpoint traced_origin{traced_client, 40000};

inline TraceContext trace_context() {
  return {.service = "web", .traced = {traced_client, traced_web}, .servers = {traced_server}, .table = "hanat"};
}

/// Builds a packet, report by report.
class Story {
public:
  static Story request() { return Story{false, traced_origin, {traced_web.address, traced_web.port}, "eth0"}; }
  static Story reply() { return Story{true, traced_server, traced_origin, "eth1"}; }

  /// Another base chain begins; its first report has the headers. `policy` is what it says unless a rule follows.
  Story& at(nat::TableFamily family, const std::string& table, const std::string& chain) {
    family_ = family, table_ = table, chain_ = chain, fresh_ = true;
    return *this;
  }
  Story& policy(nat::TraceVerdict verdict) { return add(nat::TraceKind::policy, 0, verdict); }
  Story& rule(std::uint64_t handle, nat::TraceVerdict verdict, const std::string& target = {}) {
    add(nat::TraceKind::rule, handle, verdict, target);
    if (!target.empty()) chain_ = target;
    return *this;
  }
  /// A milestone of the trace table.
  Story& reaches(const char* milestone) { return at(nat::TableFamily::inet, "hanat_trace", milestone).policy(nat::TraceVerdict::accept); }
  /// From here on the headers have another destination or source.
  Story& now_to(const Endpoint& to) {
    to_ = to;
    return *this;
  }
  Story& by(const std::string& oif) {
    oif_ = oif;
    return *this;
  }
  Story& dnat(const Endpoint& to) {
    return at(nat::TableFamily::inet, "hanat", "dnat_prerouting").rule(90, nat::TraceVerdict::accept).now_to(to);
  }
  operator TracedPacket() const { return packet_; } // NOLINT(google-explicit-constructor)

private:
  Story(bool reply, Endpoint from, Endpoint to, std::string iif) : from_(from), to_(to), iif_(std::move(iif)) {
    packet_.reply = reply;
    at(nat::TableFamily::inet, "hanat_trace", reply ? nat::trace_begins_reply : nat::trace_begins).rule(1, nat::TraceVerdict::next);
  }
  Story& add(nat::TraceKind kind, std::uint64_t handle, nat::TraceVerdict verdict, const std::string& target = {}) {
    nat::TraceStep step{.packet = 7,
                        .family = family_,
                        .table = table_,
                        .chain = chain_,
                        .kind = kind,
                        .rule_handle = handle,
                        .verdict = verdict,
                        .target = target,
                        .iif = fresh_ ? iif_ : "",
                        .oif = fresh_ ? oif_ : ""};
    if (fresh_) step.header = nat::TracedHeader{.from = from_, .to = to_, .protocol = 6, .tcp_flags = 2};
    fresh_ = false;
    packet_.steps.push_back(std::move(step));
    return *this;
  }

  TracedPacket packet_;
  Endpoint from_, to_;
  std::string iif_, oif_;
  nat::TableFamily family_ = nat::TableFamily::inet;
  std::string table_, chain_;
  bool fresh_ = true;
};

inline nat::ForeignChain base_chain(const char* type, nat::Hook hook, int priority, bool drops = false) {
  return {.base = nat::BaseChain{.type = type, .hook = hook, .priority = priority, .drops = drops}, .was_read = true};
}

inline nat::ForeignRule foreign_rule(std::uint64_t handle, std::uint32_t position, nat::RuleAction action, const std::string& target = {}) {
  return {.handle = handle, .position = position, .action = action, .target = target, .comment = {}};
}

} // namespace hanat
