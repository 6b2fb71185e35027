// Reads the elements of sets, and does so again where the kernel says that a commit came in between. Blocks until the kernel has answered:
// for worker threads. Not here: what is in an element (its readers: held_clients, flow_counts), the state of the whole table (table).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "nat/netlink.hpp"
#include "nat/nftables/handles.hpp"

namespace hanat::nat {

class ElementDump {
public:
  /// Throws std::system_error.
  explicit ElementDump(std::string table) : table_(std::move(table)) {}

  struct Reader {
    std::function<void()> begin;                                             // what was read so far is void
    std::function<void(const std::string& set, const nftnl_set& part)> part; // some elements of it, in one message
  };
  /// Throws std::system_error, as when there is no such set. `what` names the step in its text.
  void read(std::span<const std::string> sets, std::string_view what, const Reader& reader);

private:
  void read_once(const std::string& set, std::string_view what, const Reader& reader);

  std::string table_;
  Netlink socket_;
};

} // namespace hanat::nat
