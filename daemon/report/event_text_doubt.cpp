// The sentences about what is known of servers and does not move the traffic, or not yet: flapping, doubt of an outage, warnings,
// what a reload holds.
// Not here: services, servers, overrides (event_text), old flows (event_text_drain).
#include <chrono>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "daemon/report/event_sentences.hpp"
#include "daemon/util/duration.hpp"

namespace hanat::events {
namespace {

double in_seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// In mode observe nothing is done, and a sentence must not read as if it were.
std::string_view prefix(bool observed) { return observed ? "observe: " : ""; }

} // namespace

std::string Sentences::operator()(const Flapping& flapping) const {
  return fmt::format("{}{} is flapping: it {} the traffic soon after it got it, {} time{} by now; while another server works, it gets the "
                     "traffic again when it has been up for {:g} s",
                     prefix(flapping.observed), full_name(flapping.server), flapping.observed ? "would have lost" : "has lost",
                     flapping.times, flapping.times == 1 ? "" : "s", in_seconds(flapping.wait));
}

std::string Sentences::operator()(const FlappingEnded& flapping) const {
  return fmt::format("{} is no longer flapping: it gets the traffic back as usual", full_name(flapping.server));
}

std::string Sentences::operator()(const OutageDoubted& doubt) const {
  return fmt::format("{}{}: that may be this gateway's own way to {}; connections {} at {} {}{}", prefix(doubt.observed),
                     doubt.common ? "no server answers, and they fell silent together" : "no server answers",
                     doubt.common ? "them" : "the servers", doubt.observed ? "would stay" : "stay", full_name(doubt.target),
                     doubt.lasts ? fmt::format("for up to {:g} s (none_after)", in_seconds(*doubt.lasts))
                                 : "until the witness answers, which is silent, too",
                     !doubt.refuses_new ? ""
                     : doubt.observed   ? "; new ones would be refused"
                                        : "; new ones are refused");
}

std::string Sentences::operator()(const OutageDoubtEnded& doubt) const {
  const double lasted = in_seconds(doubt.lasted);
  switch (doubt.end) {
  case OutageDoubtEnded::End::answered:
    return fmt::format("{}{} answers again after {:.1f} s: it {} the traffic, and its connections", prefix(doubt.observed),
                       full_name(doubt.target), lasted, doubt.observed ? "would have kept" : "has kept");
  case OutageDoubtEnded::End::dead:
    return fmt::format("the way to the servers works, and {} is down all the same", full_name(doubt.target));
  case OutageDoubtEnded::End::confirmed: return fmt::format("no server has answered for {:.1f} s: they are taken for dead", lasted);
  case OutageDoubtEnded::End::ended:
    return fmt::format("the doubt about an outage is over after {:.1f} s: a command or a reload has changed where the traffic goes",
                       lasted);
  }
  return {};
}

std::string Sentences::operator()(const ProbeWarning& warning) const {
  const auto& result = warning.result;
  const bool fails = result.outcome == probes::Outcome::fail; // and its probe has critical = false
  return fmt::format("{} {}{}: {}{}{}; nothing moves because of it{}", full_name(warning.server),
                     fails ? "fails a probe that only warns" : "passes with a warning",
                     warning.probe.empty() ? "" : " (" + warning.probe + ")", probes::to_text(result.reason),
                     result.detail.empty() ? fmt::format(" ({:.1f} ms)", in_seconds(result.latency) * 1000) : " (" + result.detail + ")",
                     warning.wanted.empty() ? "" : ", wanted: " + warning.wanted,
                     fails ? " (critical = false)" : ", unless its probe is critical");
}

std::string Sentences::operator()(const NewProbeFails& failing) const {
  const auto& result = failing.result;
  return fmt::format("{}: its new probe ({}) has not passed since the reload: {}{}{}; its old probes decide until it does. If the "
                     "configuration is wrong, correct it and reload",
                     full_name(failing.server), failing.probe, probes::to_text(result.reason),
                     result.detail.empty() ? "" : " (" + result.detail + ")", failing.wanted.empty() ? "" : ", wanted: " + failing.wanted);
}

std::string Sentences::operator()(const NewProbesPassed& passed) const {
  return fmt::format("{}: its new probes have passed, and decide from now on", full_name(passed.server));
}

std::string Sentences::operator()(const FormerServes& serves) const {
  return fmt::format("its target {} is no server of the configuration any more, and serves on until {} is up, probed as before",
                     to_text(serves.former.address), full_name(serves.next));
}

std::string Sentences::operator()(const FormerKept& kept) const {
  return fmt::format("no server that may have the traffic by the new configuration is up: {}, the target of before, keeps it as long as "
                     "its old probes pass. Correct the configuration and reload, or mend the servers",
                     to_text(kept.former.address));
}

} // namespace hanat::events
