// Every query has a random id: only a host that sees the query can forge a response.
#include "probes/kinds/dns.hpp"

#include <random>
#include <utility>

#include "probes/io/udp_exchange.hpp"
#include "probes/kinds/dns_message.hpp"

namespace hanat::probes {

StartResult probe_dns(Timers& timers, const Probe& probe, OnResult on_result) {
  const auto id = static_cast<std::uint16_t>(std::random_device{}());
  const std::string query = dns_query(probe.spec.of<DnsSpec>(), id);
  if (query.empty()) // the configuration refuses such a name
    return inconclusive_result(Reason::local_error, {}, "not a valid DNS name");
  const auto judge = [&spec = probe.spec, id](std::string_view datagram, Clock::duration latency) -> std::optional<ProbeResult> {
    const auto verdict = judge_dns(spec.of<DnsSpec>(), id, datagram);
    if (!verdict) return std::nullopt;
    return result_from_verdict(spec, *verdict, latency);
  };
  return udp_exchange(timers, probe, query, judge, std::move(on_result));
}

} // namespace hanat::probes
