// What the other gateway knows beside what this one knows: the same services with the same servers? The same targets? In words, as an
// operator is to read them. Pure. Not here: following the other one (failover/peer_follow).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/decision/service_state.hpp"
#include "daemon/peer/peer_page.hpp"

namespace hanat {

/// How a service there differs from the one here.
struct PeerDifference {
  std::vector<std::string> config;  // "service web: the peer has the server 198.18.2.9:80, and this gateway has not"
  std::optional<std::string> state; // "service web: ... "
  bool operator==(const PeerDifference&) const = default;
};
/// `here` or `there` may be nullptr, not both: there is no such service. `follows`: this gateway is the standby of that one.
PeerDifference compare_services(const ServiceState* here, const PeerService* there, bool follows);

/// The server here that is that one there; nullopt: there is none.
std::optional<std::size_t> find_peer_server(const ServiceState& service, const PeerServer& server);

/// All that the other gateway has told, and how it differs.
class PeerView {
public:
  /// Takes a page in. The names whose services it has, or no longer has; all that were known when it begins anew.
  std::set<std::string> add(const PeerPage& page);
  void clear();
  const PeerService* find(const std::string& name) const;
  const std::map<std::string, PeerService>& services() const { return services_; }
  std::set<std::string> names() const;
  /// Nothing is missing: the last page had no more behind it.
  bool is_complete() const { return complete_; }

  void set_difference(const std::string& name, PeerDifference difference);
  void forget_differences() { differences_.clear(); }
  /// The first of them, and how many there are.
  std::vector<std::string> config_texts(std::size_t at_most) const;
  std::vector<std::string> state_texts(std::size_t at_most) const;
  std::size_t config_count() const;

private:
  std::map<std::string, PeerService> services_;
  std::map<std::string, PeerDifference> differences_; // those that differ
  bool complete_ = false;
};

} // namespace hanat
