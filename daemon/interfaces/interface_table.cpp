// By index, as the kernel has them: a name may go to another interface.
#include "daemon/interfaces/interface_table.hpp"

#include <variant>

namespace hanat {
namespace {

/// Empty: clients can connect to it.
std::string why_unsuitable(const probes::AddressChange& change) {
  const Address& address = change.address;
  if (change.duplicate) return "belongs to another machine, too (duplicate address detection failed)";
  if (!change.usable) return "is not in use before duplicate address detection has passed";
  if (address.is_loopback()) return "is a loopback address";
  if (address.is_link_local()) return "is link-local";
  if (address.is_unspecified() || address.is_multicast() || address.is_v4_mapped()) return "is not the address of a host";
  if (change.temporary) return "is temporary (RFC 8981)";
  return {};
}

bool same(const probes::AddressChange& one, const probes::AddressChange& other) {
  return one.usable == other.usable && one.duplicate == other.duplicate && one.temporary == other.temporary;
}

} // namespace

bool InterfaceTable::take(const probes::Change& change) {
  if (const auto* const address = std::get_if<probes::AddressChange>(&change)) {
    if (address->removed) {
      const auto found = interfaces_.find(address->interface);
      return found != interfaces_.end() && found->second.addresses.erase(address->address) != 0;
    }
    auto& addresses = interfaces_[address->interface].addresses;
    const auto [known, is_new] = addresses.try_emplace(address->address, *address);
    if (is_new) return true;
    const bool differs = !same(known->second, *address);
    known->second = *address;
    return differs;
  }
  const auto* const link = std::get_if<probes::Link>(&change);
  if (link == nullptr) return false;
  if (link->gone) {
    const auto found = interfaces_.find(link->index);
    if (found == interfaces_.end()) return false;
    if (const auto named = by_name_.find(found->second.name); named != by_name_.end() && named->second == link->index)
      by_name_.erase(named);
    interfaces_.erase(found);
    return true;
  }
  Interface& interface = interfaces_[link->index];
  if (interface.name == link->name && interface.up == link->up) return false;
  if (const auto named = by_name_.find(interface.name); named != by_name_.end() && named->second == link->index) by_name_.erase(named);
  interface.name = link->name;
  interface.up = link->up;
  by_name_[link->name] = link->index;
  return true;
}

void InterfaceTable::replace(std::span<const probes::Change> all) {
  interfaces_.clear();
  by_name_.clear();
  for (const probes::Change& change : all) take(change);
}

std::map<unsigned, std::string> InterfaceTable::names(std::size_t at_most) const {
  std::map<unsigned, std::string> all;
  for (const auto& [index, interface] : interfaces_)
    if (!interface.name.empty() && interface.name != "lo" && all.size() < at_most) all.emplace(index, interface.name);
  return all;
}

InterfaceAddresses InterfaceTable::find(std::string_view name) const {
  InterfaceAddresses result;
  const auto named = by_name_.find(name);
  if (named == by_name_.end()) return result;
  const Interface& interface = interfaces_.at(named->second);
  result.exists = true;
  result.up = interface.up;
  for (const auto& [address, change] : interface.addresses) {
    std::string why = why_unsuitable(change);
    if (why.empty())
      result.addresses.push_back(address);
    else
      result.others.push_back({.address = address, .why = std::move(why), .pending = !change.usable && !change.duplicate});
  }
  return result;
}

} // namespace hanat
