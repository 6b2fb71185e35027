// The rules in order, part by part.
#include "nat/nftables/ruleset.hpp"

#include <utility>

#include "nat/marks.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/ruleset_parts.hpp"

namespace hanat::nat {

std::vector<RulePtr> make_ruleset(const std::string& table, const RuleOptions& options) {
  ChainWriter writer{table};
  write_guard(writer, options);
  write_evidence(writer);
  write_dnat(writer);
  write_source(writer, source_ports_beside(options.probe_ports));
  for (std::uint8_t number = 1; number <= options.range_numbers; ++number) write_range(writer, number);
  return writer.take();
}

std::vector<RulePtr> make_rules_of_range(const std::string& table, std::uint8_t number) {
  ChainWriter writer{table};
  write_range(writer, number);
  return writer.take();
}

RulePtr make_untracked_rule(const std::string& table, const ProbePorts& ports) {
  ChainWriter writer{table};
  writer.open(chain_untracked);
  writer.add(writer.rule("replies to hanatd's probes").dport_between(ports.first, ports.last).socket_mark(packet_mark).notrack());
  return std::move(writer.take().front());
}

std::vector<RulePtr> make_offloading_rules(const std::string& table) {
  ChainWriter writer{table};
  write_offloading(writer);
  return writer.take();
}

} // namespace hanat::nat
