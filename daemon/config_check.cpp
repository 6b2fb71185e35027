// What cannot work together: listeners that collide, servers that are the same or lead back here, probes that can never judge.
// Every such error names both places. Not here: what is wrong by itself (config_text, config_service, config_server, config_probe).
#include "daemon/config_parts.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "nat/port_range.hpp"

namespace hanat::config {
namespace {

std::string_view to_text(Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; }

/// Which listener has a VIP.
struct Owner {
  const Merged* service;
  const ListenText* listen;
};
using Owners = std::map<Vip, Owner>; // no two keys overlap

/// Registers the ports of a listener; ports that another one has are an error, told once for each other listener.
void claim(const Merged& service, const ListenText& text, Owners& owners, Findings& findings) {
  struct Overlap {
    Owner with;
    std::uint16_t first, last;
  };
  std::map<const ListenText*, Overlap> overlaps;
  std::vector<Vip> taken;
  const Listener& listener = text.listener;
  const Vip vip = with_ports({.address = listener.address, .protocol = listener.protocol}, listener.first, listener.last);
  for_overlapping(owners, vip, [&](const auto& other) {
    const auto& [theirs, owner] = other;
    taken.push_back(theirs);
    const Overlap shared{.with = owner, .first = std::max(vip.port, theirs.port), .last = std::min(last_port(vip), last_port(theirs))};
    if (const auto [overlap, first] = overlaps.try_emplace(owner.listen, shared); !first) overlap->second.last = shared.last;
  });
  for (const Vip& part : without(vip, taken)) owners.emplace(part, Owner{.service = &service, .listen = &text});
  for (const auto& [other, overlap] : overlaps) {
    const bool same = other->listener.first == listener.first && other->listener.last == listener.last;
    const std::string where = findings.where(other->place, text.place);
    const std::string& name = overlap.with.service->service.name;
    if (same)
      findings.add(text.place,
                   fmt::format("{} is listened on twice, first by service {} ({}): remove one of them", shown(listener.text), name, where));
    else
      findings.add(text.place,
                   fmt::format("{} overlaps {} of service {} ({}) at port{} {}{}: give each port to one listener", shown(listener.text),
                               shown(other->listener.text), name, where, overlap.first == overlap.last ? "" : "s", overlap.first,
                               overlap.first == overlap.last ? "" : fmt::format(" to {}", overlap.last)));
  }
}

/// The checks of one service.
class ServiceCheck {
public:
  ServiceCheck(const Merged& merged, const Owners& owners, Findings& findings)
      : merged_{merged}, service_{merged.service}, owners_{owners}, findings_{findings} {}

  void run() {
    for (std::size_t i = 0; i < service_.servers.size(); ++i) {
      if (service_.servers[i].addresses.empty()) continue; // wrong by itself
      check_windows(i);
      if (merged_.listen == nullptr || merged_.listen->empty()) continue;
      check_families(i);
      check_ranges(i);
      check_snat(i);
      check_twins(i);
      check_loops(i);
      check_probe_ports(i);
      check_probe_sources(i);
    }
  }

private:
  std::string who(std::size_t server) const { return fmt::format("the {} of service {}", service_.servers[server].role, service_.name); }
  const Place& place(std::size_t server) const { return merged_.servers[server]->place; }
  const AddressText* address_of(std::size_t server, Family family) const {
    const auto& addresses = merged_.servers[server]->addresses;
    const auto found = std::ranges::find(addresses, family, [](const AddressText& text) { return text.endpoint.address.family(); });
    return found == addresses.end() ? nullptr : &*found;
  }
  /// The first listener for which `wrong` is true.
  template <class Wrong> const ListenText* first_listener(Wrong wrong) const {
    const auto found = std::ranges::find_if(*merged_.listen, wrong);
    return found == merged_.listen->end() ? nullptr : &*found;
  }

  bool ports_meet(const AddressText& one, const AddressText& other) const;
  void check_windows(std::size_t server);
  void check_families(std::size_t server);
  void check_ranges(std::size_t server);
  void check_range(std::size_t server, const AddressText& address);
  void check_mapped(std::size_t server, const AddressText& address);
  void check_snat(std::size_t server);
  void check_twins(std::size_t server);
  void check_loops(std::size_t server);
  bool complain_of_loop(const Place& at, std::string_view what, const Vip& there);
  void check_probe_ports(std::size_t server);
  void check_probe_sources(std::size_t server);

  const Merged& merged_;
  const Service& service_;
  const Owners& owners_;
  Findings& findings_;
};

/// A server that answers nothing gives its M-th abnormal result at timeout + (M - 1) x fast_interval; later than `within`, the first is
/// forgotten by then.
void ServiceCheck::check_windows(std::size_t server) {
  if (!merged_.down_right) return;
  const auto& probes = service_.servers[server].probes;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const probes::Spec& spec = probes[i];
    const DownRule& down = service_.down;
    const Clock::duration verdict = spec.timeout + (down.fails - 1) * spec.fast_interval;
    if (verdict < down.within) continue;
    const Place& probe_place = merged_.probe_places[server][i];
    const bool probe_built_in = probe_place == merged_.text->place;
    const bool rule_built_in = merged_.down_place.line == 0;
    const Place& at = probe_built_in && !rule_built_in ? merged_.down_place : probe_place;
    findings_.add(
        at, fmt::format("a silent server could never be judged: timeout {} + (fails {} - 1) x fast_interval {} = {} is not shorter than "
                        "within {} ({}): raise within, or lower timeout, fails or fast_interval",
                        duration_text(spec.timeout), down.fails, duration_text(spec.fast_interval), duration_text(verdict),
                        duration_text(down.within), rule_built_in ? "built in" : findings_.where(merged_.down_place, at)));
  }
}

void ServiceCheck::check_families(std::size_t server) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const ListenText* listen = first_listener([&](const ListenText& text) { return text.listener.address.family() == family; });
    if (listen == nullptr || address_of(server, family) != nullptr) continue;
    findings_.add(place(server),
                  fmt::format("{} has no {} address for the listener {} in {}: write one address a family, as in "
                              "[\"10.0.0.11:8443\", \"[fd00::11]:8443\"], or remove the listener",
                              who(server), to_text(family), shown(listen->listener.text), findings_.where(listen->place, place(server))));
  }
}

void ServiceCheck::check_ranges(std::size_t server) {
  for (const AddressText& address : merged_.servers[server]->addresses) {
    if (address.last != 0)
      check_mapped(server, address);
    else if (address.endpoint.port != 0)
      check_range(server, address);
  }
}

/// A server with one port.
void ServiceCheck::check_range(std::size_t server, const AddressText& address) {
  const Place& at = address.place;
  const Endpoint& endpoint = address.endpoint;
  const ListenText* range = first_listener(
      [&](const ListenText& text) { return text.listener.ports() > 1 && text.listener.address.family() == endpoint.address.family(); });
  if (range == nullptr) return;
  const std::uint32_t end = endpoint.port + range->listener.ports() - 1;
  const bool mappable = range->listener.ports() <= most_exact_ports && end <= UINT16_MAX;
  findings_.add(
      at, fmt::format("{} has port {}, but the listener {} in {} is a range, whose flows keep their port: leave \":{}\" out,{} or give "
                      "the range a service of its own",
                      who(server), endpoint.port, shown(range->listener.text), findings_.where(range->place, at), endpoint.port,
                      mappable ? fmt::format(" write as many ports, as in \"{}-{}\",", hanat::to_text(endpoint), end) : ""));
}

/// A server with a range of ports: each listener's is as long.
void ServiceCheck::check_mapped(std::size_t server, const AddressText& address) {
  const Place& at = address.place;
  const Endpoint& endpoint = address.endpoint;
  const std::uint32_t count = address.last - endpoint.port + 1U;
  const ListenText* other = first_listener([&](const ListenText& text) {
    return text.listener.ports() != count && text.listener.address.family() == endpoint.address.family();
  });
  if (other == nullptr) return;
  const std::uint32_t ports = other->listener.ports();
  findings_.add(at,
                fmt::format("{} has {} ports, but the listener {} in {} has {}: write ranges of the same length, which are mapped port by "
                            "port, or leave \":{}-{}\" out, and flows keep their port",
                            who(server), grouped(count), shown(other->listener.text), findings_.where(other->place, at),
                            ports == 1 ? "one" : grouped(ports), endpoint.port, address.last));
}

void ServiceCheck::check_snat(std::size_t server) {
  const nat::Snat& snat = service_.servers[server].snat;
  if (snat.kind != nat::SnatKind::address) return;
  const Said<nat::Snat>& own = merged_.servers[server]->snat;
  const Place& at = own.said ? own.place : merged_.snat_place;
  const ListenText* other = first_listener([&](const ListenText& text) { return text.listener.address.family() != snat.address.family(); });
  if (other != nullptr)
    findings_.add(
        at,
        fmt::format("snat = \"{}\" is {}, but the listener {} in {} is {}: use \"masquerade\", or give each family a service of its own",
                    snat.address.text(), to_text(snat.address.family()), shown(other->listener.text), findings_.where(other->place, at),
                    to_text(other->listener.address.family())));
  for (const AddressText& text : merged_.servers[server]->addresses)
    if (text.endpoint.address == snat.address)
      findings_.add(
          at, fmt::format("snat = \"{}\" is the address of {} in {}, whose answers would never come back: write an address of this gateway",
                          snat.address.text(), who(server), findings_.where(text.place, at)));
}

/// Whether two ports of the same address serve some VIP together; 0 is the listener's own port.
bool ServiceCheck::ports_meet(const AddressText& one, const AddressText& other) const {
  if (one.endpoint.port == other.endpoint.port) return true;
  if (one.endpoint.port != 0 && other.endpoint.port != 0) return false;
  const AddressText& said = one.endpoint.port != 0 ? one : other;
  return first_listener([&](const ListenText& text) {
           const Listener& listener = text.listener;
           if (listener.address.family() != said.endpoint.address.family()) return false;
           if (said.last != 0) return listener.first == said.endpoint.port; // mapped onto itself
           return listener.first <= said.endpoint.port && said.endpoint.port <= listener.last;
         }) != nullptr;
}

/// Two servers of a service that are one.
void ServiceCheck::check_twins(std::size_t server) {
  for (std::size_t other = 0; other < server; ++other)
    for (const AddressText& mine : merged_.servers[server]->addresses)
      for (const AddressText& first : merged_.servers[other]->addresses)
        if (mine.endpoint.address == first.endpoint.address && ports_meet(mine, first))
          findings_.add(mine.place,
                        fmt::format("{} is {} too ({}): a backup on the same server protects from nothing; write another server or "
                                    "remove this one",
                                    hanat::to_text(mine.endpoint), who(other), findings_.where(first.place, mine.place)));
}

/// A server, or a probe's question, that is a VIP: its packets would be translated again.
void ServiceCheck::check_loops(std::size_t server) {
  const Server& value = service_.servers[server];
  for (const Vip& vip : service_.listen) {
    const auto endpoint = endpoint_for(value, vip);
    if (!endpoint) continue;
    const std::uint16_t first = endpoint->port != 0 ? endpoint->port : vip.port;
    const Vip there = with_ports({.address = endpoint->address, .protocol = vip.protocol}, first, is_range(vip) ? vip.last : first);
    if (complain_of_loop(address_of(server, vip.address.family())->place, who(server), there))
      return; // one is enough, and the probe of it says nothing new
  }
  for (const probes::Question& question : questions_for(service_, value)) {
    const auto protocol = asks_over(question.spec.kind);
    if (!protocol) continue;
    const auto spec = std::ranges::find(value.probes, question.spec);
    if (complain_of_loop(merged_.probe_places[server][static_cast<std::size_t>(spec - value.probes.begin())],
                         fmt::format("asked by the probe of {}", who(server)),
                         {.address = question.server.address, .protocol = *protocol, .port = question.server.port}))
      return;
  }
}

/// Returns whether somebody listens there.
bool ServiceCheck::complain_of_loop(const Place& at, std::string_view what, const Vip& there) {
  const Owner* owner = nullptr;
  Vip hit;
  for_overlapping(owners_, there, [&](const auto& entry) {
    if (owner != nullptr) return;
    owner = &entry.second;
    hit = with_ports(there, std::max(there.port, entry.first.port), std::min(last_port(there), last_port(entry.first)));
  });
  if (owner == nullptr) return false;
  findings_.add(
      at, fmt::format("{}, which is {}, is a listener of service {} ({}): its traffic would come back to this gateway; write the server's "
                      "own address",
                      hanat::to_text(hit), what, owner->service->service.name, findings_.where(owner->listen->place, at)));
  return true;
}

/// Of a service without a listener of the protocol that a probe asks over, the port must be said.
void ServiceCheck::check_probe_ports(std::size_t server) {
  const auto& probes = service_.servers[server].probes;
  bool told = false;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const auto protocol = asks_over(probes[i].kind);
    if (!protocol || probes[i].port || probes[i].kind == probes::Kind::dns) continue; // DNS has a port of its own
    if (first_listener([protocol](const ListenText& text) { return text.listener.protocol == *protocol; }) != nullptr) continue;
    findings_.add(merged_.probe_places[server][i],
                  fmt::format("service {0} has no {1} listener, so its probe does not know which {1} port to ask: write a port that the "
                              "server answers on, as in probe = {{ type = {2} }}",
                              service_.name, *protocol == Protocol::udp ? "UDP" : "TCP",
                              *protocol == Protocol::udp ? "\"udp\", port = 514, send = \"...\"" : "\"tcp\", port = 22"));
    told = true;
  }
  if (told) return;
  for (const probes::Question& question : questions_for(service_, service_.servers[server])) {
    const auto protocol = asks_over(question.spec.kind);
    if (!protocol || question.server.port != 0) continue;
    const auto spec = static_cast<std::size_t>(std::ranges::find(probes, question.spec) - probes.begin());
    const ListenText* range = first_listener([](const ListenText& text) { return text.listener.ports() > most_exact_ports; });
    findings_.add(
        merged_.probe_places[server][spec],
        fmt::format("the listener {} of service {} has too many ports for a probe to know which one to ask: write a port that the "
                    "server answers on, as in probe = {{ type = {} }}",
                    shown(range->listener.text), service_.name,
                    *protocol == Protocol::udp ? "\"udp\", port = 514, send = \"...\"" : "\"tcp\", port = 22"));
  }
}

void ServiceCheck::check_probe_sources(std::size_t server) {
  for (const probes::Question& question : questions_for(service_, service_.servers[server])) {
    const auto& source = question.spec.source;
    if (!source || source->family() == question.server.address.family()) continue;
    const auto& probes = service_.servers[server].probes;
    const auto spec = static_cast<std::size_t>(std::ranges::find(probes, question.spec) - probes.begin());
    findings_.add(
        merged_.probe_places[server][spec],
        fmt::format("probe.source = \"{}\" is {}, but the probe asks {} at {}: leave source out, or give each family a service of its own",
                    source->text(), to_text(source->family()), who(server),
                    question.server.port == 0 ? question.server.address.text() : hanat::to_text(question.server)));
  }
}

} // namespace

void check(const std::vector<Merged>& services, Findings& findings) {
  Owners owners;
  for (const Merged& service : services)
    if (service.listen != nullptr)
      for (const ListenText& listen : *service.listen) claim(service, listen, owners, findings);
  for (const Merged& service : services) ServiceCheck{service, owners, findings}.run();
}

} // namespace hanat::config
