// Service by service, entry by entry, address by address.
#include "daemon/interfaces/fill_listen.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

constexpr std::size_t overlaps_at_most = 4; // of an entry: a range may have a thousand

std::string_view name_of(Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; }

bool has_interfaces(const Config& config) {
  return std::ranges::any_of(config.services, [](const ServiceConfig& service) { return !service.interfaces.empty(); });
}

/// Which endpoints somebody has already.
class Taken {
public:
  explicit Taken(const Config& config) : config_(config) {
    for (const ServiceConfig& service : config.services)
      for (const Vip& vip : service.listen) listeners_.emplace(vip, &service);
  }

  /// Servers that have one of these addresses.
  void add_servers(const std::set<Address>& addresses) {
    for (const ServiceConfig& service : config_.services)
      for (const ServerConfig& server : service.servers)
        for (const Vip& vip : listening_ports(service)) {
          const auto endpoint = endpoint_for(server, vip);
          if (!endpoint || !addresses.contains(endpoint->address)) continue;
          const std::uint16_t first = endpoint->port != 0 ? endpoint->port : vip.port;
          servers_.push_back(
              {.vip = with_ports({.address = endpoint->address, .protocol = vip.protocol}, first, is_range(vip) ? vip.last : first),
               .service = &service,
               .server = &server});
        }
  }

  /// What of the endpoint is left for this service, which has it from now on.
  std::vector<Vip> take(const ServiceConfig& service, const Vip& vip, std::vector<std::string>& overlaps) {
    std::vector<Vip> others;
    const auto tell = [&](std::string text) {
      if (overlaps.size() < overlaps_at_most) overlaps.push_back(std::move(text));
    };
    for_overlapping(listeners_, vip, [&](const auto& entry) {
      others.push_back(entry.first);
      if (entry.second != &service) tell(fmt::format("{} is a listener of service {}", to_text(entry.first), entry.second->name));
    });
    for (const Server& one : servers_) {
      if (!overlap(one.vip, vip)) continue;
      others.push_back(one.vip);
      tell(fmt::format("{} is the {} of service {}, whose traffic would come back to this gateway", to_text(one.vip), one.server->role,
                       one.service->name));
    }
    std::vector<Vip> left = others.empty() ? std::vector{vip} : without(vip, others);
    for (const Vip& part : left) listeners_.emplace(part, &service);
    return left;
  }

private:
  struct Server {
    Vip vip;
    const ServiceConfig* service;
    const ServerConfig* server;
  };
  const Config& config_;
  std::map<Vip, const ServiceConfig*> listeners_; // no two keys overlap
  std::vector<Server> servers_;                   // few: servers that have an address of this gateway
};

/// "eth0 has no IPv4 address: 169.254.1.1 is link-local"
std::string why_absent(const std::string& interface, const InterfaceAddresses& there, Family family) {
  if (!there.exists) return fmt::format("there is no interface {}", interface);
  const auto other = std::ranges::find(there.others, family, [](const auto& one) { return one.address.family(); });
  if (other != there.others.end())
    return fmt::format("{} has no {} address that clients can use: {} {}", interface, name_of(family), other->address.text(), other->why);
  return fmt::format("{} {}has no {} address", interface, there.up ? "" : "is down and ", name_of(family));
}

/// A server's range of ports that a listener's is mapped to, at each address.
void map_ranges(ServiceConfig& service, const Address& address) {
  for (ServerConfig& server : service.servers) {
    std::vector<std::pair<Vip, std::uint16_t>> mapped;
    for (const auto& [vip, first] : server.mapped)
      if (vip.address == Address::unspecified(address.family())) {
        mapped.emplace_back(vip, first);
        mapped.back().first.address = address;
      }
    server.mapped.insert(mapped.begin(), mapped.end());
  }
}

ListenState fill_entry(ServiceConfig& service, const ServiceConfig& original, const InterfaceListener& entry,
                       const InterfaceAddresses& there, Taken& taken) {
  ListenState state{.text = entry.text, .interface = entry.interface, .addresses = {}};
  for (const Family family : both_families) {
    const auto is_of = [family](const Vip& vip) { return vip.address.family() == family; };
    if (std::ranges::none_of(entry.endpoints, is_of)) continue;
    std::size_t count = 0;
    for (const Address& address : there.addresses) {
      if (address.family() != family || ++count > addresses_at_most) continue;
      map_ranges(service, address);
      bool listens = false;
      for (Vip vip : entry.endpoints) {
        if (!is_of(vip)) continue;
        vip.address = address;
        for (const Vip& part : taken.take(original, vip, state.overlaps)) {
          service.listen.push_back(part);
          listens = true;
        }
      }
      if (listens) state.addresses.push_back(address);
    }
    std::string why;
    if (count == 0) why = why_absent(entry.interface, there, family);
    if (count > addresses_at_most)
      why = fmt::format("{} has {} {} addresses: only the first {} are listened on", entry.interface, count, name_of(family),
                        addresses_at_most);
    if (!why.empty() && std::ranges::find(state.absent, why) == state.absent.end()) state.absent.push_back(std::move(why));
  }
  return state;
}

} // namespace

std::set<std::string, std::less<>> interfaces_of(const Config& config) {
  std::set<std::string, std::less<>> interfaces;
  for (const ServiceConfig& service : config.services)
    for (const InterfaceListener& entry : service.interfaces) interfaces.insert(entry.interface);
  return interfaces;
}

FilledListen fill_listen(const std::shared_ptr<const Config>& config, const FindInterface& find) {
  FilledListen result{.config = config, .services = {}};
  if (!has_interfaces(*config)) return result;
  std::map<std::string, InterfaceAddresses> interfaces;
  std::set<Address> all;
  for (const std::string& name : interfaces_of(*config)) {
    const InterfaceAddresses& there = interfaces[name] = find(name);
    all.insert(there.addresses.begin(), there.addresses.end());
  }
  Taken taken{*config};
  taken.add_servers(all);
  auto filled = std::make_shared<Config>(*config);
  for (std::size_t place = 0; place < filled->services.size(); ++place) {
    const ServiceConfig& original = config->services[place];
    if (original.interfaces.empty()) continue;
    ServiceConfig& service = filled->services[place].edit();
    for (const InterfaceListener& entry : original.interfaces)
      result.services[service.name].push_back(fill_entry(service, original, entry, interfaces.at(entry.interface), taken));
  }
  result.config = std::move(filled);
  return result;
}

} // namespace hanat
