// The gateway and clients that wait: telling those of an old target, those whose refusal was held for nothing, and the heartbeat without
// which nothing is held. Not here: which refusals are held (wanted), how they are (nat/layout), finding and nudging clients (nat).
#include <algorithm>
#include <utility>

#include "daemon/gateway.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto beat_period = 1s; // nat::alive_for is three of them

} // namespace

/// The clients of a departure. Where flows are kept only clients without one are told.
void Gateway::add_clients(CutJob& job, const RunningService& service, const Departure& departure) {
  for (const Mapping& mapping : departure.mappings) {
    if (mapping.vip.protocol != Protocol::tcp) continue;
    if (!departure.drain) job.release.push_back(mapping);
    if (service.config.nudge) job.nudge.insert(mapping);
  }
}

void Gateway::count_told(RunningService& service, const Departure& departure, const CutResult& result) {
  std::uint64_t clients = 0;
  for (const Mapping& mapping : departure.mappings)
    if (const auto told = result.nudged.find(mapping); told != result.nudged.end()) clients += told->second;
  service.totals.nudged += clients;
  if (service.last_flip && departure.flip == service.last_flip->number) service.last_flip->nudged += clients;
}

/// A burst of questions to the target ended well: clients whose refusal was held meanwhile need not wait for their own timer.
void Gateway::false_alarm(RunningService& service) {
  if (!service.config.nudge || service.loaded.hold.empty()) return;
  held_for_nothing_.insert(&service);
  settle_soon();
}

/// Those clients.
void Gateway::add_held(CutJob& job) {
  for (const RunningService* service : std::exchange(held_for_nothing_, {}))
    for (const auto& [mapping, comment] : service->loaded.hold) job.nudge.insert(mapping);
}

/// Says in the kernel that hanatd lives, as long as something is held by that.
void Gateway::beat(Time now) {
  if (!next_beat_ || *next_beat_ > now || committer_.busy()) return;
  next_beat_.reset();
  if (std::ranges::none_of(services_, [](const auto& service) { return !service->loaded.hold.empty(); })) return;
  next_beat_ = now + beat_period;
  change_aside([this] { kernel_.keep_alive(); });
}

} // namespace hanat
