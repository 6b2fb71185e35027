// The rules in order, part by part.
#include "nat/nftables/ruleset.hpp"

#include <utility>

#include "nat/marks.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/ruleset_parts.hpp"

namespace hanat::nat {

std::vector<RulePtr> make_ruleset(const std::string& table, bool tcp_loose) {
  ChainWriter writer{table};
  write_guard(writer, tcp_loose);
  write_evidence(writer);
  write_dnat(writer);
  write_source(writer);
  return writer.take();
}

RulePtr make_untracked_rule(const std::string& table) {
  ChainWriter writer{table};
  writer.open(chain_untracked);
  writer.add(writer.rule("replies to hanatd's probes").dport_between(probe_port_first, probe_port_last).socket_mark(packet_mark).notrack());
  return std::move(writer.take().front());
}

} // namespace hanat::nat
