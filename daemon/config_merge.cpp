// Makes services of what the files say: the service's own word, then that of [defaults], then the built-in one; small ranges become exact
// VIPs. Not here: what contradicts what (config_check).
#include "daemon/config_parts.hpp"

#include <map>

#include <fmt/format.h>

namespace hanat::config {
namespace {

/// Of all files together: each is an element of the kernel's maps, and this many already take it a second to load.
constexpr std::size_t most_vips = 262'144;

template <class T> const Said<T>& pick(const Said<T>& own, const Said<T>& fallback) { return own.said ? own : fallback; }

template <class T> void apply(const Said<T>& own, const Said<T>& fallback, T& value) {
  if (const auto& said = pick(own, fallback); said.value) value = *said.value;
}

std::string role(std::size_t index) {
  if (index == 0) return "primary";
  return index == 1 ? "backup" : fmt::format("backup{}", index);
}

/// Puts one server into the service.
class ServerMerger {
public:
  ServerMerger(const ServiceText& text, const ServiceText& defaults, Merged& merged) : text_{text}, defaults_{defaults}, merged_{merged} {}

  void add(const ServerText& server) {
    Server result{.role = role(merged_.servers.size()), .addresses = {}, .snat = {}, .probes = {}};
    for (const AddressText& address : server.addresses) {
      result.addresses.push_back(address.endpoint);
      if (address.last != 0) map_ranges(address, result);
    }
    apply(server.snat, pick(text_.snat, defaults_.snat), result.snat);
    const auto& probes = pick(server.probes, pick(text_.probes, defaults_.probes));
    std::vector<Place> places;
    if (!probes.said) { // one built-in tcp probe; errors about it stand at the service
      result.probes.emplace_back();
      places.push_back(text_.place);
    } else if (probes.value) {
      for (const ProbeText& probe : *probes.value) {
        result.probes.push_back(probe.spec);
        places.push_back(probe.place);
      }
    }
    merged_.service.servers.push_back(std::move(result));
    merged_.servers.push_back(&server);
    merged_.probe_places.push_back(std::move(places));
  }

private:
  /// Listeners' ranges of that family and length, onto the server's ports; others are errors (config_check).
  void map_ranges(const AddressText& address, Server& server) const {
    if (merged_.listen == nullptr) return;
    const std::uint32_t count = address.last - address.endpoint.port + 1U;
    for (const auto& [place, listener] : *merged_.listen)
      if (listener.address.family() == address.endpoint.address.family() && listener.ports() == count)
        server.mapped.emplace(
            Vip{.address = listener.address, .protocol = listener.protocol, .port = listener.first, .last = listener.last},
            address.endpoint.port);
  }

  const ServiceText& text_;
  const ServiceText& defaults_;
  Merged& merged_;
};

void merge_listen(const ServiceText& text, Merged& merged, Findings& findings) {
  if (!text.listen.said)
    findings.add(text.place,
                 fmt::format("service {} does not say where clients reach it: write listen = \"203.0.113.10:443/tcp\"", text.name));
  if (!text.listen.value) return;
  merged.listen = &*text.listen.value;
  for (const auto& [place, listener] : *text.listen.value) {
    merged.service.listen_text.push_back(listener.text);
    if (listener.ports() > most_exact_ports) {
      merged.service.listen.push_back(
          {.address = listener.address, .protocol = listener.protocol, .port = listener.first, .last = listener.last});
      continue;
    }
    for (std::uint32_t port = listener.first; port <= listener.last; ++port)
      merged.service.listen.push_back(
          {.address = listener.address, .protocol = listener.protocol, .port = static_cast<std::uint16_t>(port)});
  }
}

Merged merge_one(const ServiceText& text, const ServiceText& defaults, Findings& findings) {
  Merged merged;
  merged.text = &text;
  Service& service = merged.service;
  service.name = text.name;
  merge_listen(text, merged, findings);

  ServerMerger servers{text, defaults, merged};
  const auto& primary = pick(text.primary, defaults.primary);
  if (!primary.said) findings.add(text.place, fmt::format("service {} has no primary: write primary = \"10.0.0.11:8443\"", text.name));
  if (primary.value) servers.add(*primary.value);
  const auto& backups = pick(text.backups, defaults.backups);
  if (primary.value && backups.value)
    for (const ServerText& backup : *backups.value) servers.add(backup);

  apply(text.down, defaults.down, service.down);
  apply(text.up, defaults.up, service.up);
  apply(text.failback, defaults.failback, service.failback);
  apply(text.on_failover, defaults.on_failover, service.on_failover);
  apply(text.on_failback, defaults.on_failback, service.on_failback);
  apply(text.on_forced, defaults.on_forced, service.on_forced);
  apply(text.on_none, defaults.on_none, service.on_none);
  apply(text.hold, defaults.hold, service.hold);
  apply(text.nudge, defaults.nudge, service.nudge);
  apply(text.mode, defaults.mode, service.mode);
  merged.down_place = pick(text.down, defaults.down).place;
  merged.down_right = pick(text.down, defaults.down).said == pick(text.down, defaults.down).value.has_value();
  merged.snat_place = pick(text.snat, defaults.snat).place;
  return merged;
}

/// In one file TOML itself refuses a name said twice.
void check_names(const std::vector<ServiceText>& services, Findings& findings) {
  std::map<std::string_view, Place> first;
  for (const ServiceText& service : services) {
    const auto [at, fresh] = first.try_emplace(service.name, service.place);
    if (!fresh)
      findings.add(service.place, fmt::format("service {} is there twice, first in {}: give one of them another name, or remove it",
                                              service.name, findings.where(at->second, service.place)));
  }
}

/// Before anything is built of them.
bool few_enough(const std::vector<ServiceText>& services, Findings& findings) {
  std::size_t vips = 0;
  for (const ServiceText& service : services) {
    if (!service.listen.value) continue;
    for (const auto& [place, listener] : *service.listen.value) {
      vips += listener.ports() > most_exact_ports ? 1 : listener.ports();
      if (vips <= most_vips) continue;
      findings.add(place,
                   fmt::format("this makes more than {} listening endpoints in all, the most that hanat takes: use fewer or smaller ranges",
                               grouped(most_vips)));
      return false;
    }
  }
  return true;
}

} // namespace

std::vector<Merged> merge(const FilesText& files, Findings& findings) {
  check_names(files.services, findings);
  std::vector<Merged> result;
  if (!few_enough(files.services, findings)) return result;
  result.reserve(files.services.size());
  for (const ServiceText& text : files.services) result.push_back(merge_one(text, files.defaults, findings));
  return result;
}

} // namespace hanat::config
