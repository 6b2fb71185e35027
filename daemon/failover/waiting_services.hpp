// Services that have to be looked at and can wait: those that begin, and where many are dirty those that are well. So a start with ten
// thousand of them, and what follows it, holds up nobody's flip. Not here: which are dirty (service_registry).
#pragma once

#include <cstddef>
#include <deque>
#include <unordered_set>
#include <vector>

#include "daemon/decision/service_state.hpp"

namespace hanat {

class WaitingServices {
public:
  /// `dirty`: those of the registry.
  explicit WaitingServices(std::vector<ServiceState*>& dirty) : dirty_(dirty) {}

  bool empty() const { return queue_.empty(); }
  /// Takes those that can wait out of the dirty ones, and returns them.
  std::vector<ServiceState*> hold_back();
  /// So many are dirty again, the longest wait first.
  void release(std::size_t at_most);
  /// The service ends.
  void forget(ServiceState& service);

private:
  std::vector<ServiceState*>& dirty_;
  std::deque<ServiceState*> queue_;
  std::unordered_set<const ServiceState*> queued_;
};

} // namespace hanat
