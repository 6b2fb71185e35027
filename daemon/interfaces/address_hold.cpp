// Compares with the last time.
#include "daemon/interfaces/address_hold.hpp"

#include <algorithm>
#include <utility>

namespace hanat {

InterfaceAddresses AddressHold::hold(const std::string& interface, InterfaceAddresses now_there, Time now) {
  Interface& known = interfaces_[interface];
  std::set<Address> all(now_there.addresses.begin(), now_there.addresses.end());
  std::map<Address, Time> lost;
  for (const Address& address : known.last) {
    if (all.contains(address)) continue;
    const auto other = std::ranges::find(now_there.others, address, &InterfaceAddresses::Unsuitable::address);
    if (other != now_there.others.end()) { // it is there
      if (!other->pending) continue;
      all.insert(address);
      continue;
    }
    const auto since_before = known.lost.find(address);
    const Time until = since_before == known.lost.end() ? now + address_hold : since_before->second;
    if (until <= now) continue;
    lost.emplace(address, until);
    all.insert(address);
  }
  known.lost = std::move(lost);
  now_there.addresses.assign(all.begin(), all.end());
  known.last = std::move(all);
  return now_there;
}

const std::map<Address, Time>& AddressHold::held(const std::string& interface) const {
  static const std::map<Address, Time> none;
  const auto known = interfaces_.find(interface);
  return known == interfaces_.end() ? none : known->second.lost;
}

std::optional<Time> AddressHold::next_wakeup() const {
  std::optional<Time> next;
  for (const auto& [name, interface] : interfaces_)
    for (const auto& [address, until] : interface.lost)
      if (!next || until < *next) next = until;
  return next;
}

void AddressHold::keep_only(const std::set<std::string, std::less<>>& interfaces) {
  std::erase_if(interfaces_, [&](const auto& entry) { return !interfaces.contains(entry.first); });
}

} // namespace hanat
