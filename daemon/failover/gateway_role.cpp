// From a role to what is allowed in it.
#include "daemon/failover/gateway_role.hpp"

#include <chrono>
#include <system_error>

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// The other gateway's connections are all here, and its last flips have come to their end on both.
constexpr auto audit_after = 10s;

/// Whether a standby holds something else loaded for the service, or has something else on its way.
bool differs_in_standby(const ServiceState& service) {
  const nat::TableState& loaded = service.loaded;
  return service.refused || refuses_new(service) || !loaded.reject.empty() || !loaded.stale.empty() || !loaded.recent.empty() ||
         !service.evictions.empty();
}

} // namespace

void GatewayRole::start(const std::optional<PairConfig>& pair, const nat::Loaded& found, Time now) {
  pair_ = pair;
  if (!pair) return apply();
  addresses_.watch(pair->address);
  const bool was_settled = !found.state.empty() && !found.settling; // a fresh table has nothing of before
  change(machine_.begin(addresses_.is_here(), was_settled, pair->settle, now, events::event_time()), {}, now);
}

void GatewayRole::configure(const std::optional<PairConfig>& pair, Time now) {
  if (pair == pair_) return;
  const std::optional<PairConfig> before = std::exchange(pair_, pair);
  const bool same_address = before && pair && before->address == pair->address;
  if (!same_address) try {
      addresses_.watch(pair ? std::optional{pair->address} : std::nullopt);
    } catch (const std::system_error& error) { // it counts as not here
      addresses_.watch(std::nullopt);
      outbox_.log(events::message(Level::error, std::string{"the address of the pair cannot be watched: "} + error.what()));
    }
  if (!pair) return change(machine_.end(events::event_time()), {}, now);
  machine_.set_settle(pair->settle);
  if (same_address) return;
  const Role role = machine_.role();
  const bool was_settled = role == Role::alone || role == Role::active; // it had the traffic
  change(machine_.begin(addresses_.is_here(), was_settled, pair->settle, now, events::event_time()), {}, now);
  apply(); // perhaps the same role, but not any more alone
}

void GatewayRole::on_addresses(Time now) { change(machine_.on_address(addresses_.is_here(), now, events::event_time()), {}, now); }

bool GatewayRole::settle(const std::string& by, Time now) {
  on_addresses(now); // whoever says so may be faster than the kernel's message
  const auto settled = machine_.on_settled(now, events::event_time());
  change(settled, by, now);
  return settled.has_value();
}

void GatewayRole::run(Time now) { change(machine_.run(now, events::event_time()), {}, now); }

void GatewayRole::change(const std::optional<RoleChange>& change, const std::string& by, Time) {
  if (!change) return;
  for (const auto& service : registry_.services())
    if (differs_in_standby(*service)) registry_.mark_dirty(*service);
  apply();
  outbox_.log(events::make({}, events::RoleChanged{.from = change->from,
                                                   .to = change->to,
                                                   .settled = change->settled,
                                                   .after = change->after,
                                                   .address = pair_ ? pair_->address : Address{},
                                                   .by = by}));
  outbox_.sync_due = true;
}

/// Everything that the role decides, each time anew.
void GatewayRole::apply() {
  const Role role = machine_.role();
  const auto settled_at = machine_.settled_at();
  outbox_.standby = role == Role::standby;
  evictions_.set_silent(role == Role::standby);
  table_.set_settling(is_unsettled(role));
  audit_.hold_until(role == Role::alone ? Time::min() : settled_at ? *settled_at + audit_after : Time::max());
  servers_.set_all_protocols(pair_.has_value());
}

} // namespace hanat
