// Which services the other gateway may have to be told of, and whether anything of them has changed since. Not here: what it is told
// (make_peer_service), when (daemon/links/peer_link).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>

#include "daemon/decision/service_state.hpp"

namespace hanat {

class ChangedServices {
public:
  void add(const std::string& name) { names_.insert(name); }
  void add(const std::set<std::string>& names) { names_.insert(names.begin(), names.end()); }
  /// All that were looked at until now count as changed.
  void forget_all();

  bool empty() const { return names_.empty(); }
  /// One of them, which is none any more. Not when it is empty.
  std::string take();
  /// Whether something of the service has changed since it was looked at; nullptr: it is gone.
  bool is_new(const std::string& name, const ServiceState* service);

private:
  std::set<std::string> names_;
  std::unordered_map<std::string, std::uint64_t> fingerprints_; // of those that were looked at
};

} // namespace hanat
