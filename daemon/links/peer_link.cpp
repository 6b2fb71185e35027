// Pages in, changes out.
#include "daemon/links/peer_link.hpp"

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

constexpr std::size_t services_a_turn = 256; // of the loop: a millisecond or two

std::string make_instance() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

/// True: who waits for news is to be told.
bool tell_programs(PeerFeed& feed, const PairPrograms& programs, Time now) {
  return feed.set_programs(to_text(programs.conntrackd), to_text(programs.keepalived), now);
}

bool may_follow(Role own, const PeerSight& sight, Time now) {
  return own == Role::standby && is_writer(sight.role()) && sight.answers(now);
}

} // namespace

PeerLink::PeerLink(uv_loop_t* loop, const PeerConfig& config, Controller& controller, Owner owner)
    : config_(config), controller_(controller), role_(controller.role.machine().role()), owner_(std::move(owner)),
      sight_(to_text(config.peer), owner_.publish, Clock::now()), feed_(make_instance(), version()), work_timer_(make_timer(loop, this)) {
  const Time now = Clock::now();
  feed_.set_role(to_text(role_), now);
  tell_programs(feed_, owner_.programs(), now);
  for (const auto& service : controller.registry().services())
    if (!service->removed) tell(service->config->name, now);
  try {
    listener_ = std::make_unique<PeerListener>(
        loop, config, feed_, [this](const std::string& body, const std::function<void(HttpReply)>& reply) { on_command(body, reply); },
        [this](const std::string& client) { sight_.on_refused(client, Clock::now()); });
  } catch (const std::exception& error) { // failover goes on without the other gateway
    owner_.publish(events::PeerNotServed{error.what()});
  }
  const PeerClient::Callbacks callbacks{.page = [this](const PeerPage& page) { on_page(page); },
                                        .failed = [this](const std::string& why) { sight_.on_failure(why, role_, Clock::now()); }};
  try {
    client_ = std::make_unique<PeerClient>(loop, config, callbacks);
  } catch (const std::exception& error) {
    callbacks.failed(error.what());
  }
}

PeerLink::~PeerLink() = default;

void PeerLink::tell(const std::string& name, Time now) {
  const ServiceState* const service = controller_.registry().find(name);
  feed_.update(name, service == nullptr ? std::nullopt : std::optional{make_peer_service(*service)}, now);
}

void PeerLink::services_changed(const std::set<std::string>& names) {
  changed_.add(names);
  if (!changed_.empty()) work_soon();
}

void PeerLink::config_changed() {
  changed_.forget_all();
  for (const auto& service : controller_.registry().services()) changed_.add(service->config->name);
  work_soon();
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
    const std::string name = changed_.take();
    if (!changed_.is_new(name, controller_.registry().find(name))) continue;
    tell(name, now);
    compare(name);
  }
  if (listener_ && feed_.serial() != before) listener_->wake();
  if (!changed_.empty()) work_soon();
}

void PeerLink::gateway_changed(Role role) {
  const Time now = Clock::now();
  if (tell_programs(feed_, owner_.programs(), now) && listener_) listener_->wake();
  if (std::exchange(role_, role) == role) return;
  if (feed_.set_role(to_text(role), now) && listener_) listener_->wake();
  sight_.on_roles(role_, now);
  role_is_new_ = true;
  work_soon();
}

void PeerLink::apply_role() {
  if (role_ != Role::standby) end_following();
  following_ = may_follow(role_, sight_, Clock::now());
  if (following_) follow(view_.names());
  for (const std::string& name : view_.names()) compare(name);
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

void PeerLink::on_page(const PeerPage& page) {
  const Time now = Clock::now();
  sight_.on_answer(page, role_, now);
  const bool was_complete = view_.is_complete() && !page.whole;
  const std::set<std::string> names = view_.add(page);
  const bool followed = std::exchange(following_, may_follow(role_, sight_, now));
  if (following_) follow(followed ? names : view_.names());
  if (following_ && followed && !names.empty() && !page.more && !page.whole) sight_.set_lag(page.change_age + (Clock::now() - now));
  for (const std::string& name : names) compare(name);
  if (view_.is_complete() && !was_complete)
    for (const auto& service : controller_.registry().services())
      if (!service->removed && view_.find(service->config->name) == nullptr) compare(service->config->name);
  sight_.on_differences(view_);
}

void PeerLink::compare(const std::string& name) {
  const PeerService* const there = view_.find(name);
  if (there == nullptr && !view_.is_complete()) return; // it may still come
  view_.set_difference(name,
                       compare_services(controller_.registry().find(name), there, role_ == Role::standby && is_writer(sight_.role())));
}

PeerStatus PeerLink::status() const { return sight_.status(view_, role_, Clock::now()); }

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
  if (!client_ || !sight_.answers(Clock::now()))
    throw refuse(fmt::format("the other one ({}) does not answer{}", peer, sight_.failure().empty() ? "" : ": " + sight_.failure()));
  if (!is_writer(sight_.role())) throw refuse(fmt::format("the other one ({}) is not active either: it is {}", peer, sight_.role()));
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
