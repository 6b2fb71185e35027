// A packet, or a transaction instead.
#include "daemon/failover/heartbeat.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "daemon/report/make_event.hpp"
#include "nat/nftables/layout.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// One may be lost because somebody has just deleted the table, which is restored at once.
constexpr unsigned reported_from = 2;
constexpr auto retry_when_busy = 100ms; // a transaction of hanatd's own is under way

} // namespace

void Heartbeat::on_applied(const ServiceState& service, Time now) {
  if (!service.loaded.hold.empty() && !next_) next_ = now;
}

bool Heartbeat::is_needed() const {
  return table_.is_settling() ||
         std::ranges::any_of(registry_.services(), [](const auto& service) { return !service->loaded.hold.empty(); });
}

void Heartbeat::run(Time now) {
  if (std::exchange(outbox_.table_loaded, false) && next_) next_ = now; // a fresh table has no heartbeat
  if (table_.is_settling() && !next_) next_ = now;                      // its rules need the heartbeat, too
  if (!next_ || *next_ > now) return;
  next_.reset();
  if (!is_needed()) return;
  const bool renewed = send_packet() || table_.commit_heartbeat();
  next_ = now + (renewed ? Clock::duration{nat::heartbeat_period} : Clock::duration{retry_when_busy});
}

/// False: it did not renew the heartbeat. Every packet is tried: what was in its way may be gone.
bool Heartbeat::send_packet() {
  try {
    sender_.send();
  } catch (const std::exception& error) {
    if (++lost_packets_ == reported_from) outbox_.log(events::heartbeat_by_transaction(error.what()));
    return false;
  }
  if (std::exchange(lost_packets_, 0) >= reported_from) outbox_.log(events::heartbeat_by_packet());
  return true;
}

} // namespace hanat
