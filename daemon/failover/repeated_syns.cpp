// Flows of repeated SYNs, looked up again and again until they are answered or old.
#include "daemon/failover/repeated_syns.hpp"

#include <algorithm>
#include <exception>

#include <sys/resource.h>
#include <unistd.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto delivered_within = 150ms; // a SYN needs some 10 us to leave the gateway; most servers have replied by then, too
constexpr auto look_every = 500ms;
constexpr auto forget_after = 60s; // since the last SYN; a client gives up earlier or repeats it
constexpr int thread_niceness = 10;

} // namespace

RepeatedSyns::RepeatedSyns(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event)
    : look_up_(std::move(look_up)), on_event_(std::move(on_event)), timer_(make_timer(loop, this)), thread_(loop, [this] { found(); }) {}

RepeatedSyns::~RepeatedSyns() { thread_.join(); }

void RepeatedSyns::on_event(const probes::KernelEvent& event) {
  const bool undelivered = event.kind == probes::KernelEventKind::undelivered;
  const bool repeated = (undelivered || event.kind == probes::KernelEventKind::unanswered) && event.client && event.vip;
  if (!repeated) return on_event_(event);
  const Key key{*event.client, *event.vip};
  const bool room = flows_.size() < flows_at_most || flows_.contains(key);
  if (!undelivered || !room) on_event_(event);
  if (!room) return;
  Flow& flow = flows_[key];
  flow.repeated_at = Clock::now();
  flow.zone = event.zone;
  if (undelivered)
    flow.held = event;
  else
    flow.passed_on = true;
  look_up_within(delivered_within);
}

void RepeatedSyns::look_up_within(Clock::duration delay) {
  const Time at = Clock::now() + delay;
  if (due_ && *due_ <= at) return;
  due_ = at;
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<RepeatedSyns*>(timer->data)->start(); },
      static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(delay).count()), 0);
}

void RepeatedSyns::start() {
  due_.reset();
  if (thread_.busy()) return look_up_within(delivered_within);
  const Time now = Clock::now();
  std::erase_if(flows_, [now](const auto& entry) { return now - entry.second.repeated_at >= forget_after; });
  if (flows_.empty()) return;
  looked_.clear();
  for (const auto& [key, flow] : flows_) looked_.push_back({.key = key, .zone = flow.zone, .known = {}});
  if (thread_.run([this] { work(); }, Clock::duration::zero())) found();
}

void RepeatedSyns::work() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), thread_niceness); // of this thread
  try {
    for (Looked& looked : looked_) {
      const auto& [client, vip] = looked.key;
      looked.known =
          look_up_({.protocol = vip.protocol, .source = client, .destination = {.address = vip.address, .port = vip.port}}, looked.zone);
    }
  } catch (const std::exception&) { // the audit of conntrack meets the same failure, and it is told there
  }
}

void RepeatedSyns::found() {
  for (const Looked& looked : std::exchange(looked_, {})) {
    const auto flow = flows_.find(looked.key);
    if (flow == flows_.end() || !looked.known) continue;
    if (!update(flow->first, flow->second, *looked.known)) flows_.erase(flow);
  }
  if (!flows_.empty()) look_up_within(look_every);
}

bool RepeatedSyns::update(const Key& key, Flow& flow, nat::KnownFlow known) {
  switch (known) {
  case nat::KnownFlow::none:
    if (!flow.held) return true;
    flow.passed_on = true;
    on_event_(*std::exchange(flow.held, std::nullopt));
    return true;
  case nat::KnownFlow::unreplied: // what was held is the first SYN of another connection from the same port, or this one was delivered
    flow.held.reset();
    return flow.passed_on;
  case nat::KnownFlow::replied:
    if (flow.passed_on) on_event_({.kind = probes::KernelEventKind::answered, .vip = key.second, .client = key.first});
    return false;
  }
  return true;
}

} // namespace hanat
