// Reads hanat's table from the kernel, dump by dump, in the form in which it can be compared with the intended one. A commit in between
// mixes two generations: whoever puts the parts together compares the generation before and after.
// Not here: what follows from it (table), how elements are decoded (set_elements), other tables (foreign_rules).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "nat/netlink.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/set_elements.hpp"

struct nlmsghdr;

namespace hanat::nat {

/// The layout as text: sets, chains and flowtables by name, rules in order.
struct LayoutText {
  std::map<std::string, std::string> sets, chains, rules;
  std::map<std::string, std::string> flowtables = {}; // without their devices
  bool operator==(const LayoutText&) const = default;
};
LayoutText to_text(const Layout& layout);
/// The same with the flowtable and the chain that puts flows on it.
LayoutText with_offloading(LayoutText text, const std::string& table);

/// Up to which number ranges of ports have sets. Their names are ranges4_1, ranges6_1, and so on.
std::uint8_t range_numbers_in(const LayoutText& layout);

/// What a dump of all tables says of one.
struct FoundTable {
  std::string comment;
  std::uint32_t flags = 0;
  std::uint32_t owner = 0; // netlink port of the owning process; 0: none
};

/// Every function throws std::system_error, also when a commit interrupts the dump.
class TableReader {
public:
  TableReader(Netlink& socket, const std::string& table) : socket_(socket), table_(table) {}

  std::uint32_t generation();
  std::optional<FoundTable> find_table();
  LayoutText read_layout();
  /// The sets that have the intended form, or that of an older layout. In a table of another version these may be only some.
  Decoded read_elements(const LayoutText& found, const LayoutText& intended);
  /// The interfaces of hanat's flowtable.
  Devices read_devices();

private:
  void dump(std::uint16_t type, const std::function<void(nlmsghdr*)>& fill, const Netlink::OnMessage& on_message, const char* what);
  void read_flowtables(const std::function<void(const nftnl_flowtable& flowtable, const std::string& name)>& on_flowtable);

  Netlink& socket_;
  const std::string& table_;
};

} // namespace hanat::nat
