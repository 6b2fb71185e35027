// The interfaces of this machine and their addresses, by one message of the kernel after the other. Pure.
// Not here: where the messages come from (interface_monitor), what a service makes of the addresses (fill_listen).
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nat/address.hpp"
#include "probes/passive/route_socket.hpp"

namespace hanat {

/// What an interface has at the moment.
struct InterfaceAddresses {
  struct Unsuitable {
    Address address;
    std::string why;      // "is only valid on its link"
    bool pending = false; // it may be suitable in a moment
    bool operator==(const Unsuitable&) const = default;
  };
  bool exists = false, up = false;
  std::vector<Address> addresses; // that clients can connect to; IPv4 before IPv6
  std::vector<Unsuitable> others;
  bool operator==(const InterfaceAddresses&) const = default;
};

class InterfaceTable {
public:
  /// A link or an address; other changes mean nothing here. Returns whether something is different now.
  bool take(const probes::Change& change);
  /// All links and all addresses: nothing else is there any more.
  void replace(std::span<const probes::Change> all);

  /// Of the interface that has this name now. Suitable is any address of the interface but link-local, loopback and multicast ones, and of
  /// IPv6 those that are not the interface's alone yet, and temporary ones. One that is deprecated is suitable as long as it is there.
  InterfaceAddresses find(std::string_view name) const;
  /// All interfaces but the loopback, those first that have been here longest; at most so many.
  std::map<unsigned, std::string> names(std::size_t at_most) const; // by index

private:
  struct Interface {
    std::string name;
    bool up = false;
    std::map<Address, probes::AddressChange> addresses = {};
  };
  std::map<unsigned, Interface> interfaces_; // by index; the addresses of one whose link was not told yet, too
  std::map<std::string, unsigned, std::less<>> by_name_;
};

} // namespace hanat
