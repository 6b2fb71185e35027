// One step after the other, each over all services.
#include "cli/import/finish.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "cli/import/write_toml.hpp"

namespace hanat::cli::imports {
namespace {

constexpr std::size_t most_servers = 64;           // a primary and 63 backups
constexpr std::uint32_t most_probed_ports = 1'024; // of a longer range no port is probed by itself

std::string server_name(const Server& server) {
  return server.ports.first == 0 ? server.address.text() : hanat::to_text(Endpoint{.address = server.address, .port = server.ports.first});
}

bool has_family(const Service& service, Family family) {
  return std::ranges::any_of(service.listen, [&](const Listen& listen) { return listen.address.family() == family; });
}

/// Addresses are translated within a family: a service with both becomes two.
std::optional<Service> take_ipv6(Service& service) {
  if (!has_family(service, Family::ipv6) || !has_family(service, Family::ipv4)) return std::nullopt;
  Service other{.place = service.place,
                .name = service.name + "-v6",
                .listen = {},
                .servers = {},
                .snat = service.snat,
                .snat_why = service.snat_why,
                .fails = service.fails,
                .passes = service.passes,
                .notes = {},
                .refused = service.refused};
  std::ranges::copy_if(service.listen, std::back_inserter(other.listen),
                       [](const Listen& listen) { return listen.address.family() == Family::ipv6; });
  std::ranges::copy_if(service.servers, std::back_inserter(other.servers),
                       [](const Server& server) { return server.address.family() == Family::ipv6; });
  std::erase_if(service.listen, [](const Listen& listen) { return listen.address.family() == Family::ipv6; });
  return other;
}

/// What was said of it as a backup.
void forget_server(Service& service, const Server& server) {
  std::erase_if(service.notes,
                [&](const Note& note) { return note.place == server.place && note.why.find("becomes a backup") != std::string::npos; });
}

void drop_other_family(Service& service) {
  if (service.listen.empty()) return;
  const Family family = service.listen.front().address.family();
  for (const Server& server : service.servers)
    if (server.address.family() != family) {
      forget_server(service, server);
      service.notes.push_back({.place = server.place,
                               .text = server_name(server),
                               .why = "the server is of the other family than the addresses of the service, and hanat translates within a "
                                      "family only: write its address of this family, as a further backup",
                               .loss = Loss::lost});
    }
  std::erase_if(service.servers, [&](const Server& server) { return server.address.family() != family; });
}

void split_families(Imported& imported) {
  std::vector<Service> services;
  for (Service& service : imported.services) {
    std::optional<Service> other = take_ipv6(service);
    if (!other)
      drop_other_family(service);
    else
      std::erase_if(service.servers, [](const Server& server) { return server.address.family() == Family::ipv6; });
    services.push_back(std::move(service));
    if (other) services.push_back(std::move(*other));
  }
  imported.services = std::move(services);
}

void drop_twins(Service& service) {
  std::vector<Server> servers;
  for (Server& server : service.servers) {
    const auto same = [&](const Server& first) {
      return first.address == server.address && (first.ports == server.ports || first.ports.first == 0 || server.ports.first == 0);
    };
    const bool twin = std::ranges::any_of(servers, same);
    if (!twin && servers.size() < most_servers) {
      servers.push_back(std::move(server));
      continue;
    }
    forget_server(service, server);
    service.notes.push_back(
        {.place = server.place,
         .text = server_name(server),
         .why = twin ? "the server is there already, and a backup on the same server gives no protection: give it another"
                     : "hanat takes a primary and 63 backups: leave out what is not needed",
         .loss = Loss::lost});
  }
  service.servers = std::move(servers);
}

bool is_of_tcp(const ProbeText& probe) {
  return probe.type != "icmp" && probe.type != "udp" && probe.type != "dns" && probe.type != "exec";
}
bool has_port(const ProbeText& probe) {
  return std::ranges::any_of(probe.keys, [](const ProbeKey& key) { return key.name == "port"; });
}

/// The first listener of the protocol that has a port to probe.
const Listen* probed_listener(const Service& service, Protocol protocol) {
  for (const Listen& listen : service.listen)
    if (listen.protocol == protocol && listen.ports.count() <= most_probed_ports) return &listen;
  return nullptr;
}

ProbeText probe_without_tcp(Service& service) {
  const Listen* udp = probed_listener(service, Protocol::udp);
  const bool dns = udp != nullptr && udp->ports == Ports{.first = 53, .last = 53};
  const bool names = dns || std::ranges::any_of(service.servers, [](const Server& server) { return server.ports.first == 53; });
  service.notes.push_back(
      {.place = service.place,
       .text = "no health check",
       .why = names ? "the old file has none that hanat could use: each server is asked for the root's name servers; with servers that "
                      "answer for "
                      "their own domains alone, write name = \"example.com\" and record = \"SOA\" into the probe"
                    : "the old file has none that hanat could use: a ping says only that the server's machine is alive; a probe in the "
                      "protocol of the service says more (PROBES in hanat.toml(5))",
       .loss = Loss::hint});
  return {.type = names ? "dns" : "icmp", .keys = {}, .interval = {}, .fast_interval = {}, .timeout = {}};
}

/// A probe by TCP needs a port; where the service has none of TCP it is that of the server.
void add_ports(const Service& service, Server& server) {
  const bool tcp = probed_listener(service, Protocol::tcp) != nullptr;
  const Listen* first = service.listen.empty() ? nullptr : &service.listen.front();
  for (ProbeText& probe : server.probes) {
    if (!is_of_tcp(probe) || has_port(probe) || tcp) continue;
    const std::uint16_t port = server.ports.first != 0 ? server.ports.first : first != nullptr ? first->ports.first : std::uint16_t{0};
    if (port != 0) probe.keys.push_back({.name = "port", .value = fmt::format("{}", port)});
  }
}

void complete_probes(Service& service) {
  const auto unprobed = [](const Server& server) { return server.probes.empty(); };
  const bool tcp = service.listen.empty() || probed_listener(service, Protocol::tcp) != nullptr;
  if (!tcp && std::ranges::any_of(service.servers, unprobed)) {
    const ProbeText probe = probe_without_tcp(service);
    for (Server& server : service.servers)
      if (unprobed(server)) server.probes = {probe};
  }
  for (Server& server : service.servers) add_ports(service, server);
}

void refuse_incomplete(Service& service) {
  if (!service.refused.empty()) return;
  if (service.listen.empty())
    service.refused = "it has no address that hanat could listen on: write it, and take the # away";
  else if (service.servers.empty())
    service.refused = "it has no server that hanat could use: write one, and take the # away";
}

/// In the order of the old file; what is said of one line has one mark.
void sort_notes(std::vector<Note>& notes) {
  std::ranges::stable_sort(
      notes, [](const Note& one, const Note& other) { return std::tie(one.place, one.loss) < std::tie(other.place, other.loss); });
  std::vector<Note> sorted;
  for (Note& note : notes) {
    Note* const last = sorted.empty() ? nullptr : &sorted.back();
    const bool same =
        last != nullptr && note.loss != Loss::needless && last->place == note.place && last->text == note.text && last->loss == note.loss;
    if (!same)
      sorted.push_back(std::move(note));
    else if (last->why.find(note.why) == std::string::npos)
      last->why += "\n" + note.why;
  }
  notes = std::move(sorted);
}

void name_each_once(Imported& imported) {
  std::set<std::string> names;
  for (Service& service : imported.services) {
    const std::string wanted = service.name;
    for (std::size_t number = 2; !names.insert(service.name).second; ++number) service.name = fmt::format("{}-{}", wanted, number);
  }
}

} // namespace

void finish(Imported& imported) {
  split_families(imported);
  for (Service& service : imported.services) {
    drop_twins(service);
    complete_probes(service);
    refuse_incomplete(service);
    sort_notes(service.notes);
  }
  sort_notes(imported.notes);
  name_each_once(imported);
}

Counts count(const Imported& imported) {
  Counts counts;
  std::set<Place> needless;
  const auto add = [&](const std::vector<Note>& notes) {
    counts.lost += static_cast<std::size_t>(std::ranges::count(notes, Loss::lost, &Note::loss));
    counts.hints += static_cast<std::size_t>(std::ranges::count(notes, Loss::hint, &Note::loss));
    for (const Note& note : notes)
      if (note.loss == Loss::needless) needless.insert(note.place);
  };
  add(imported.notes);
  for (const Service& service : imported.services) {
    ++(service.refused.empty() ? counts.services : counts.refused);
    if (!service.refused.empty()) ++counts.lost;
    add(service.notes);
  }
  for (const PairText& pair : imported.pair)
    if (!pair.refused.empty()) ++counts.lost;
  counts.needless = needless.size();
  return counts;
}

} // namespace hanat::cli::imports
