// Whether real clients get answers while an examination lasts: flows that conntrack did not have at its begin, and that have gone both ways
// at its end. What hanatd's own client meets is then not what clients meet. Blocking: for a worker thread.
// Not here: clients that get none (failover/client_evidence).
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/doctor/service_check.hpp"
#include "nat/conntrack/cut.hpp"

namespace hanat {

class ServedClients {
public:
  void begin(const std::vector<ServiceCheck>& services, const std::atomic<bool>& cancelled);
  /// The names of services of which a real client was served since begin(). Of more flows than can be remembered it says nothing.
  std::set<std::string> end(const std::atomic<bool>& cancelled);

  static constexpr std::size_t flows_at_most = 20'000;

private:
  std::optional<nat::FlowList> list(const std::atomic<bool>& cancelled);

  std::vector<ServiceCheck> services_;
  std::vector<Mapping> mappings_;
  std::optional<nat::Cutter> cutter_;
  std::optional<nat::FlowList> before_;
};

/// Pure: the virtual endpoints at which flows of real clients are answered in the second list that are not in the first.
std::set<Vip> served_between(const nat::FlowList& before, const nat::FlowList& after);

} // namespace hanat
