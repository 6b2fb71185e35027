// Pages in, changes out.
#include "daemon/peer_link.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "daemon/control/forwarding.hpp"
#include "daemon/failover/peer_follow.hpp"
#include "daemon/peer/make_peer_service.hpp"
#include "daemon/util/duration.hpp"
#include "daemon/util/version.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto lost_after = 3s;              // it answers each second
constexpr auto split_after = 2s;             // a handover has two active gateways, or none, for a moment
constexpr auto clocks_apart = 2s;            // then times in the two journals cannot be compared
constexpr auto refused_pause = 60s;          // between two events
constexpr std::size_t services_a_turn = 128; // of the loop: less than a millisecond
constexpr std::size_t listed = 20;           // differences in a status

std::string make_instance() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

bool is_writer(std::string_view role) { return role == to_text(Role::active) || role == to_text(Role::settling); }
bool is_writer(Role role) { return role == Role::active || role == Role::settling; }

std::chrono::seconds whole_seconds(Clock::duration time) { return std::chrono::duration_cast<std::chrono::seconds>(time); }

} // namespace

PeerLink::PeerLink(uv_loop_t* loop, const PeerConfig& config, Controller& controller, Owner owner)
    : config_(config), controller_(controller), role_(controller.role().machine().role()), owner_(std::move(owner)),
      feed_(make_instance(), version()), work_timer_(make_timer(loop, this)) {
  const Time now = Clock::now();
  seen_.waits_since = now;
  feed_.set_role(to_text(role_), now);
  for (const auto& service : controller.registry().services())
    if (!service->removed) tell(service->config.name, now);
  try {
    listener_ = std::make_unique<PeerListener>(
        loop, config, feed_, [this](const std::string& body, const std::function<void(HttpReply)>& reply) { on_command(body, reply); },
        [this](const std::string& client) { on_refused(client); });
  } catch (const std::exception& error) { // failover goes on without the other gateway
    owner_.publish(events::PeerNotServed{error.what()});
  }
  try {
    client_ = std::make_unique<PeerClient>(loop, config,
                                           PeerClient::Callbacks{.page = [this](const PeerPage& page) { on_page(page); },
                                                                 .failed = [this](const std::string& why) { on_failure(why); }});
  } catch (const std::exception& error) {
    on_failure(error.what());
  }
}

PeerLink::~PeerLink() = default;

void PeerLink::tell(const std::string& name, Time now) {
  const ServiceState* const service = controller_.registry().find(name);
  feed_.update(name, service == nullptr ? std::nullopt : std::optional{make_peer_service(*service)}, now);
}

void PeerLink::services_changed(const std::set<std::string>& names) {
  changed_.insert(names.begin(), names.end());
  if (!changed_.empty()) work_soon();
}

/// In a turn of its own: the one that changes something is about to end, and would leave what follows until something else happens; and
/// thousands of services that flip at once must not hold up the next flip.
void PeerLink::work_soon() {
  uv_timer_start(
      work_timer_.get(), [](uv_timer_t* due) { static_cast<PeerLink*>(due->data)->work(); }, 0, 0);
}

void PeerLink::work() {
  if (std::exchange(role_is_new_, false)) apply_role();
  const Time now = Clock::now();
  const std::uint64_t before = feed_.serial();
  for (std::size_t count = 0; count < services_a_turn && !changed_.empty(); ++count) {
    const std::string name = std::move(changed_.extract(changed_.begin()).value());
    tell(name, now);
    compare(name);
  }
  if (listener_ && feed_.serial() != before) listener_->wake();
  if (!changed_.empty()) work_soon();
}

void PeerLink::role_changed(Role role) {
  const Time now = Clock::now();
  if (std::exchange(role_, role) == role) return;
  if (feed_.set_role(to_text(role), now) && listener_) listener_->wake();
  note_roles(now);
  role_is_new_ = true;
  work_soon();
}

void PeerLink::apply_role() {
  const Time now = Clock::now();
  if (role_ != Role::standby) {
    end_following();
  } else if (may_follow(now)) {
    follow_all();
  }
  for (const auto& [name, service] : view_.services()) compare(name);
}

void PeerLink::end_following() {
  following_ = false;
  for (const auto& service : controller_.registry().services()) {
    if (!follows_peer(*service)) continue;
    controller_.change(*service, std::nullopt, [](ServiceState& one, ServiceRegistry& registry, Outbox& outbox) {
      stop_following(one, registry);
      outbox.sync_due = true;
    });
  }
}

// What the other gateway tells

bool PeerLink::may_follow(Time now) const {
  return role_ == Role::standby && is_writer(seen_.role) && seen_.at && now - *seen_.at < lost_after;
}

void PeerLink::follow(const std::set<std::string>& names) {
  const Time now = Clock::now();
  for (const std::string& name : names) {
    const PeerService* const active = view_.find(name);
    ServiceState* const service = controller_.registry().find(name);
    if (active == nullptr || service == nullptr) continue;
    controller_.change(*service, std::nullopt, [&](ServiceState& one, ServiceRegistry& registry, Outbox& outbox) {
      follow_peer(one, *active, registry, outbox, now);
      outbox.sync_due = true;
    });
  }
}

void PeerLink::follow_all() {
  following_ = true;
  std::set<std::string> names;
  for (const auto& [name, service] : view_.services()) names.insert(name);
  follow(names);
}

void PeerLink::on_page(const PeerPage& page) {
  const Time now = Clock::now();
  const bool first = !seen_.at || seen_.lost_told;
  if (first)
    owner_.publish(events::PeerSeen{.peer = to_text(config_.peer),
                                    .role = page.role,
                                    .missed = seen_.lost_told ? std::optional{whole_seconds(now - seen_.waits_since)} : std::nullopt});
  seen_.at = seen_.waits_since = now;
  seen_.role = page.role;
  seen_.version = page.hanatd;
  seen_.failure.clear();
  seen_.lost_told = false;
  seen_.clock_ahead = wall_now() - page.clock;
  note_roles(now);
  const bool was_complete = view_.is_complete() && !page.whole;
  const std::set<std::string> names = view_.add(page);
  if (!may_follow(now)) {
    following_ = false;
  } else if (!following_) {
    follow_all();
  } else if (!names.empty()) {
    follow(names);
    if (!page.more && !page.whole) seen_.lag = page.change_age + (Clock::now() - now);
  }
  for (const std::string& name : names) compare(name);
  if (view_.is_complete() && !was_complete) compare_all();
  note_differences();
}

void PeerLink::on_failure(const std::string& why) {
  const Time now = Clock::now();
  seen_.failure = why;
  if (now - seen_.waits_since < lost_after) return;
  following_ = false;
  both_active_since_.reset();
  if (std::exchange(seen_.lost_told, true)) return;
  owner_.publish(events::PeerLost{.peer = to_text(config_.peer), .why = why, .active = is_writer(role_)});
}

void PeerLink::note_roles(Time now) {
  const bool both = is_writer(role_) && is_writer(seen_.role);
  if (both && !both_active_since_) both_active_since_ = now;
  if (both && now - *both_active_since_ >= split_after && !std::exchange(split_told_, true))
    owner_.publish(events::PairSplit{.peer = to_text(config_.peer)});
  if (both) return;
  const auto since = std::exchange(both_active_since_, std::nullopt);
  if (std::exchange(split_told_, false) && since)
    owner_.publish(events::PairJoined{.lasted = whole_seconds(now - *since), .standby = !is_writer(role_)});
}

void PeerLink::compare(const std::string& name) {
  if (!seen_.at) return;
  const ServiceState* const service = controller_.registry().find(name);
  const PeerService* const there = view_.find(name);
  if (there == nullptr && !view_.is_complete()) return; // it may still come
  view_.set_difference(name, compare_services(service, there, role_ == Role::standby && is_writer(seen_.role)));
}

void PeerLink::compare_all() {
  for (const auto& service : controller_.registry().services())
    if (!service->removed && view_.find(service->config.name) == nullptr) compare(service->config.name);
}

void PeerLink::note_differences() {
  if (!view_.is_complete()) return;
  const auto texts = view_.config_texts(1);
  if (texts.empty() != differs_told_) return;
  differs_told_ = !texts.empty();
  if (texts.empty())
    owner_.publish(events::PeerAgrees{});
  else
    owner_.publish(events::PeerDiffers{.first = texts.front(), .number = view_.config_count()});
}

void PeerLink::on_refused(const std::string& client) {
  const Time now = Clock::now();
  if (refused_told_ && now - *refused_told_ < refused_pause) return;
  refused_told_ = now;
  owner_.publish(events::PeerRefused{client});
}

PeerStatus PeerLink::status() const {
  const Time now = Clock::now();
  PeerStatus status{.address = to_text(config_.peer)};
  if (!seen_.failure.empty()) status.failure = seen_.failure;
  if (!seen_.at) return status;
  status.seen_s = std::chrono::duration<double>(now - *seen_.at).count();
  status.role = seen_.role;
  status.version = seen_.version;
  status.both_active = split_told_;
  status.differs = view_.config_texts(listed);
  status.disagrees = view_.state_texts(listed);
  if (std::chrono::abs(seen_.clock_ahead) > clocks_apart)
    status.differs.push_back(fmt::format("the clock of this gateway is {} {} that of the peer: run an NTP client on both",
                                         duration_text(whole_seconds(std::chrono::abs(seen_.clock_ahead))),
                                         seen_.clock_ahead > 0ms ? "ahead of" : "behind"));
  status.agrees = !is_lost(status) && view_.is_complete() && status.disagrees.empty();
  if (role_ == Role::standby && seen_.lag) status.lag_ms = std::chrono::duration<double, std::milli>(*seen_.lag).count();
  return status;
}

// Commands

std::shared_ptr<PendingReply> PeerLink::forward(const Call& call) {
  if (role_ != Role::standby) return nullptr;
  const std::string peer = to_text(config_.peer);
  const auto refuse = [&](const std::string& why) {
    return ControlError{.name = "Refused",
                        .message =
                            fmt::format("this gateway is the standby, and {}: run the command on the active gateway; if that is dead, "
                                        "let this one take over (give it the pair's address), then run it again",
                                        why)};
  };
  const Time now = Clock::now();
  if (!client_ || !seen_.at || now - *seen_.at >= lost_after)
    throw refuse(fmt::format("the other one ({}) does not answer{}", peer, seen_.failure.empty() ? "" : ": " + seen_.failure));
  if (!is_writer(seen_.role)) throw refuse(fmt::format("the other one ({}) is not active either: it is {}", peer, seen_.role));
  auto pending = std::make_shared<PendingReply>();
  const std::string by = call.asked_by();
  client_->send(command_bytes(call, by), [this, pending, peer, by, text = command_text(call)](const PeerReply& reply) {
    std::variant<nlohmann::json, ControlError> result =
        reply.status == 0 ? ControlError{.name = "Failed",
                                         .message = fmt::format("the active gateway ({}) did not answer: {}; see there whether it "
                                                                "was done (hanatctl status)",
                                                                peer, reply.body)}
                          : parse_command_reply(reply.body);
    if (auto* const done = std::get_if<nlohmann::json>(&result)) {
      (*done)["forwarded_to"] = peer;
      owner_.publish(events::CommandForwarded{.command = text, .by = by, .peer = peer});
      return pending->finish(*done);
    }
    const auto& error = std::get<ControlError>(result);
    owner_.publish(events::CommandForwarded{.command = text, .by = by, .peer = peer, .failure = error.message});
    pending->fail(error.name, error.message, error.parameters);
  });
  return pending;
}

void PeerLink::on_command(const std::string& body, const std::function<void(HttpReply)>& reply) {
  const std::string from = config_.peer.address.text();
  const std::string text = is_writer(role_) ? run_command(body, from, owner_.run)
                                            : refuse_command(fmt::format("the gateway {} is not active any more: it is {}; run the command "
                                                                         "again",
                                                                         config_.listen.address.text(), to_text(role_)));
  reply({.body = text, .type = "application/json"});
}

} // namespace hanat
