// What a reply datagram means.
#include "probes/kinds/udp.hpp"

#include <utility>

#include "probes/io/udp_exchange.hpp"

namespace hanat::probes {

StartResult probe_udp(Timers& timers, const Probe& probe, OnResult on_result) {
  const auto judge = [&spec = probe.spec](std::string_view datagram, Clock::duration latency) -> std::optional<ProbeResult> {
    const Pattern& expect = spec.of<SendExpectSpec>().expect;
    if (expect.empty() || expect.found_in(datagram)) return pass_result(spec, Reason::answered, latency);
    return fail_result(Reason::wrong_answer, latency, sanitized(datagram));
  };
  return udp_exchange(timers, probe, probe.spec.of<SendExpectSpec>().send, judge, std::move(on_result));
}

} // namespace hanat::probes
