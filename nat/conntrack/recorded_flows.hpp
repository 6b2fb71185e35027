// Conntrack entries as they stood at one moment, to be deleted later: exactly these, whatever is made in their place. For endpoints that
// hanat gives up, and flows that somebody else may be making: what comes after that moment is not hanat's. Conntrack tells no entry's age.
// Not here: the dumps and deletes themselves (socket), which mappings (daemon).
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include "nat/address.hpp"
#include "nat/conntrack/entry.hpp"
#include "nat/conntrack/flow_finder.hpp"
#include "nat/conntrack/messages.hpp"
#include "nat/conntrack/socket.hpp"

namespace hanat::nat {

class RecordedFlows {
public:
  struct Flow {
    Mapping mapping; // as it was asked for
    Endpoint vip;    // as the client sees it: of a range, one port
    Endpoint client;
    TcpPhase phase = TcpPhase::closed; // of TCP
    bool offloaded = false;
    bool operator==(const Flow&) const = default;
  };

  void add(const Entry& entry, const FoundFlow& flow);
  /// Drops what was added after there were `number` flows.
  void truncate(std::size_t number);
  std::span<const Flow> flows() const { return flows_; }

  /// Deletes the entries of those that belong to one of the mappings; not a newer one of the same tuple. `cancelled` is checked between
  /// messages. Throws std::system_error.
  void delete_entries(ConntrackSocket& socket, std::span<const Mapping> mappings, const std::atomic<bool>& cancelled,
                      const OnDeleted& on_deleted) const;

private:
  std::vector<Flow> flows_;
  MessageBatch requests_; // one delete for each flow
  std::vector<std::size_t> ends_;
};

} // namespace hanat::nat
