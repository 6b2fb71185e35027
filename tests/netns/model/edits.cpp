// A table of edits, one function each.
#include "tests/netns/model/edits.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace hanat::test::model {
namespace {

constexpr std::size_t most_services = 7, most_listeners = 3;
constexpr std::uint16_t first_port = 443, last_port = 456;

struct Edit {
  Spec& spec;
  unsigned a, b;
  const std::function<bool(const ServiceSpec&)>& busy;

  std::size_t index() const { return a % spec.services.size(); }
  ServiceSpec& service() const { return spec.services[index()]; }
  template <std::size_t Size> unsigned one_of(const std::array<unsigned, Size>& values) const { return values[b % Size]; }
  /// All services of its group need the same policies.
  template <typename Change> void for_group(const Change& change) const {
    for (const std::size_t member : spec.together_with(index())) change(spec.services[member]);
  }
};
using Apply = std::string (*)(const Edit&);
const std::string nothing = "nothing";

std::string pace(const Edit& edit) {
  ServiceSpec& one = edit.service();
  one.interval_ms = edit.one_of<4>({50, 60, 80, 100});
  one.fast_ms = edit.one_of<3>({10, 15, 20});
  one.timeout_ms = edit.one_of<3>({250, 300, 200});
  return fmt::format("{}: interval {} ms, timeout {} ms", one.name, one.interval_ms, one.timeout_ms);
}
std::string counts(const Edit& edit) {
  ServiceSpec& one = edit.service();
  one.fails = edit.one_of<3>({3, 2, 4});
  one.passes = edit.one_of<4>({2, 1, 3, 2});
  return fmt::format("{}: {} fails, {} passes", one.name, one.fails, one.passes);
}
std::string times(const Edit& edit) {
  edit.for_group([&](ServiceSpec& one) {
    one.stable_ms = edit.one_of<4>({100, 0, 150, 200});
    one.none_after_ms = edit.one_of<3>({200, 0, 300});
  });
  return fmt::format("{}: stable_for {} ms, none_after {} ms", edit.service().name, edit.service().stable_ms, edit.service().none_after_ms);
}
std::string probe(const Edit& edit) {
  edit.service().asks = !edit.service().asks;
  return fmt::format("{}: the probe {}", edit.service().name, edit.service().asks ? "asks" : "connects");
}
std::string sources(const Edit& edit) {
  edit.service().masquerade = !edit.service().masquerade;
  return fmt::format("{}: snat {}", edit.service().name, edit.service().masquerade ? "masquerade" : "none");
}
std::string old_flows(const Edit& edit) {
  constexpr std::array policies{"reset", "drain 60s", "keep", "drain 1s"};
  ServiceSpec& one = edit.service();
  one.on_forced = policies.at(edit.b % policies.size());
  one.on_failover = policies.at(edit.b / policies.size() % policies.size());
  return fmt::format("{}: on_forced {}, on_failover {}", one.name, one.on_forced, one.on_failover);
}
std::string failback(const Edit& edit) {
  if (edit.busy(edit.service()) || edit.service().penalty_ms > 0) return nothing;
  const bool manual = !edit.service().manual;
  edit.for_group([&](ServiceSpec& one) { one.manual = manual; });
  return fmt::format("{}: failback {}", edit.service().name, manual ? "manual" : "auto");
}
std::string without_server(const Edit& edit) {
  const auto action = static_cast<NoServer>(edit.b % 3);
  edit.for_group([&](ServiceSpec& one) { one.on_none = action; });
  return fmt::format("{}: on_none {}", edit.service().name, edit.b % 3);
}
std::string order(const Edit& edit) {
  if (edit.service().servers.size() < 2) return nothing;
  const std::size_t other = 1 + edit.b % (edit.service().servers.size() - 1);
  edit.for_group([&](ServiceSpec& one) { std::swap(one.servers.front(), one.servers[other]); });
  return fmt::format("{}: {} is the primary", edit.service().name, name_of(edit.service().servers.front()));
}
std::string add_server(const Edit& edit) {
  ServiceSpec& one = edit.service();
  if (!one.group.empty() || one.servers.size() == machines) return nothing;
  Place place{.machine = 0, .port = app_ports.at(edit.b % app_ports.size())};
  while (std::ranges::find(one.servers, place.machine, &Place::machine) != one.servers.end()) ++place.machine;
  const std::size_t at = edit.b / app_ports.size() % (one.servers.size() + 1);
  one.servers.insert(one.servers.begin() + static_cast<std::ptrdiff_t>(at), place);
  return fmt::format("{}: new server {} at place {}", one.name, name_of(place), at);
}
std::string remove_server(const Edit& edit) {
  ServiceSpec& one = edit.service();
  if (!one.group.empty() || one.servers.size() < 2) return nothing;
  const std::size_t at = edit.b % one.servers.size();
  const std::string gone = name_of(one.servers[at]);
  one.servers.erase(one.servers.begin() + static_cast<std::ptrdiff_t>(at));
  return fmt::format("{}: without {}", one.name, gone);
}
std::string move_server(const Edit& edit) {
  ServiceSpec& one = edit.service();
  Place& place = one.servers[edit.b % one.servers.size()];
  const Place before = place;
  place.port = place.port == app_ports[0] ? app_ports[1] : app_ports[0];
  return fmt::format("{}: {} is {} now", one.name, name_of(before), name_of(place));
}
std::string swap_listeners(const Edit& edit) {
  ServiceSpec& one = edit.service();
  ServiceSpec& other = edit.spec.services[edit.b % edit.spec.services.size()];
  if (&one == &other) return nothing;
  std::swap(one.listen, other.listen);
  return fmt::format("{} and {} swap their listeners", one.name, other.name);
}
std::string rename(const Edit& edit) {
  const std::string before = std::exchange(edit.service().name, fmt::format("s{}", ++edit.spec.names_given));
  return fmt::format("{} is called {} now", before, edit.service().name);
}
std::string make_group(const Edit& edit) {
  const auto& services = edit.spec.services;
  const ServiceSpec& one = edit.service();
  const auto matches = [&](const ServiceSpec& other) {
    return other.name != one.name && other.group.empty() && other.servers.size() == one.servers.size() && !other.observe &&
           !edit.busy(other) && other.penalty_ms == one.penalty_ms;
  };
  if (!one.group.empty() || one.observe || edit.busy(one)) return nothing;
  for (std::size_t step = 0; step < services.size(); ++step) {
    ServiceSpec& other = edit.spec.services[(edit.b + step) % services.size()];
    if (!matches(other)) continue;
    const std::string name = fmt::format("g{}", ++edit.spec.names_given);
    other.group = edit.service().group = name;
    other.manual = one.manual, other.on_none = one.on_none, other.none_after_ms = one.none_after_ms;
    return fmt::format("{} and {} are a group", one.name, other.name);
  }
  return nothing;
}
std::string dissolve(const Edit& edit) {
  if (edit.service().group.empty()) return nothing;
  const std::string gone = edit.service().group;
  for (ServiceSpec& one : edit.spec.services)
    if (one.group == gone) one.group.clear();
  return fmt::format("group {} is dissolved", gone);
}
std::string observe(const Edit& edit) {
  const bool on = !edit.service().observe;
  bool possible = true;
  edit.for_group([&](const ServiceSpec& one) { possible &= !edit.busy(one); });
  if (!possible) return nothing;
  edit.for_group([&](ServiceSpec& one) { one.observe = on; });
  return fmt::format("{}: mode {}", edit.service().name, on ? "observe" : "auto");
}

std::uint16_t free_port(const Spec& spec) {
  std::set<std::uint16_t> taken;
  for (const ServiceSpec& one : spec.services) taken.insert(one.listen.begin(), one.listen.end());
  std::uint16_t port = first_port;
  while (taken.contains(port)) ++port;
  return port;
}
std::string add_service(const Edit& edit) {
  const std::uint16_t port = free_port(edit.spec);
  if (edit.spec.services.size() >= most_services || port > last_port) return nothing;
  ServiceSpec one{.name = fmt::format("s{}", ++edit.spec.names_given), .listen = {port}};
  const unsigned first = edit.a % machines;
  for (unsigned index = 0; index < 2 + edit.b % 2; ++index)
    one.servers.push_back({.machine = (first + index) % machines, .port = app_ports.at((edit.b / 2 + index) % app_ports.size())});
  one.asks = edit.b % 3 == 0;
  edit.spec.services.insert(edit.spec.services.begin() + static_cast<std::ptrdiff_t>(edit.index()), one);
  return fmt::format("new service {} at {}", one.name, port);
}
std::string remove_service(const Edit& edit) {
  constexpr std::size_t least = 3;
  if (edit.spec.services.size() <= least || !edit.service().group.empty()) return nothing;
  const std::string gone = edit.service().name;
  edit.spec.services.erase(edit.spec.services.begin() + static_cast<std::ptrdiff_t>(edit.index()));
  return fmt::format("without service {}", gone);
}
std::string add_listener(const Edit& edit) {
  const std::uint16_t port = free_port(edit.spec);
  if (edit.service().listen.size() >= most_listeners || port > last_port) return nothing;
  edit.service().listen.push_back(port);
  return fmt::format("{}: new listener {}", edit.service().name, port);
}
std::string remove_listener(const Edit& edit) {
  auto& listen = edit.service().listen;
  if (listen.size() < 2) return nothing;
  const std::size_t at = edit.b % listen.size();
  const std::uint16_t gone = listen[at];
  listen.erase(listen.begin() + static_cast<std::ptrdiff_t>(at));
  return fmt::format("{}: without listener {}", edit.service().name, gone);
}
std::string datagrams(const Edit& edit) {
  edit.service().udp = !edit.service().udp;
  return fmt::format("{}: {} UDP", edit.service().name, edit.service().udp ? "with" : "without");
}
std::string other_order(const Edit& edit) {
  std::ranges::reverse(edit.spec.services);
  return "the services stand in another order";
}
std::string no_change(const Edit&) { return "the same file"; }

constexpr std::array<Apply, 23> edits = {pace,           counts,         times,           probe,      sources,       old_flows,
                                         failback,       without_server, order,           add_server, remove_server, move_server,
                                         swap_listeners, rename,         make_group,      dissolve,   observe,       add_service,
                                         remove_service, add_listener,   remove_listener, datagrams,  other_order};

} // namespace

std::string apply_edit(Spec& spec, unsigned kind, unsigned a, unsigned b, const std::function<bool(const ServiceSpec&)>& busy) {
  const unsigned which = kind % (edits.size() + 1);
  const Edit edit{.spec = spec, .a = a, .b = b, .busy = busy};
  const ServiceSpec& one = edit.service();
  constexpr unsigned structural = 8; // from here on they change more than values; an observed service is left as it is
  if (which >= structural && edits.size() > which && edits[which] != observe && one.observe && !one.group.empty()) return nothing;
  return which == edits.size() ? no_change(edit) : edits[which](edit);
}

} // namespace hanat::test::model
