// A queue that has each service once.
#include "daemon/failover/waiting_services.hpp"

#include <algorithm>
#include <utility>

namespace hanat {

std::vector<ServiceState*> WaitingServices::hold_back() {
  constexpr std::size_t many = 256; // take some milliseconds
  const bool is_many = dirty_.size() > many;
  const auto stays = [is_many](const ServiceState* service) { return !begins(*service) && !(is_many && is_well(*service)); };
  const auto rest = std::stable_partition(dirty_.begin(), dirty_.end(), stays);
  std::vector<ServiceState*> held{rest, dirty_.end()};
  dirty_.erase(rest, dirty_.end());
  for (ServiceState* service : held) {
    service->dirty = false;
    if (queued_.insert(service).second) queue_.push_back(service);
  }
  return held;
}

void WaitingServices::release(std::size_t at_most) {
  for (; at_most > 0 && !queue_.empty(); --at_most) {
    ServiceState* const service = queue_.front();
    queue_.pop_front();
    queued_.erase(service);
    if (!std::exchange(service->dirty, true)) dirty_.push_back(service);
  }
}

void WaitingServices::forget(ServiceState& service) {
  if (queued_.erase(&service) > 0) std::erase(queue_, &service);
}

} // namespace hanat
