// Addresses that an interface has just lost are held for a moment: it may get them again. Pure.
// Not here: which addresses an interface has (interface_table).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "daemon/interfaces/interface_table.hpp"
#include "nat/clock.hpp"

namespace hanat {

/// For so long. Somebody who restarts the network of a machine, a DHCP client that takes its address away and sets it anew, and a link that
/// goes down and up are done within a second or two, and connections live through that: their packets are sent again. Connections to an
/// address that does not come back are dead anyway, and are cut so much later.
inline constexpr std::chrono::milliseconds address_hold{2000};

class AddressHold {
public:
  /// The addresses with those that were there less than address_hold ago. One that has come back and waits for duplicate address detection
  /// is held until that has a result.
  InterfaceAddresses hold(const std::string& interface, InterfaceAddresses now_there, Time now);
  /// Those that are gone, and until when they are held. As of the last hold().
  const std::map<Address, Time>& held(const std::string& interface) const;
  /// The next moment at which hold() may have another result.
  std::optional<Time> next_wakeup() const;
  /// Nobody follows the others any more.
  void keep_only(const std::set<std::string, std::less<>>& interfaces);

private:
  struct Interface {
    std::set<Address> last;       // of the last hold()
    std::map<Address, Time> lost; // until when they are held
  };
  std::map<std::string, Interface, std::less<>> interfaces_;
};

} // namespace hanat
