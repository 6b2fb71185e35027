// One function a rule.
#include "tests/netns/model/rules.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace hanat::test::model {

std::string_view to_text(App app) {
  switch (app) {
  case App::works: return "works";
  case App::dead: return "dead";
  case App::hangs: return "hangs";
  case App::wrong: return "answers wrong";
  }
  return "?";
}

App World::app(const Place& place) const {
  const auto found = apps.find(place);
  return found == apps.end() ? App::works : found->second;
}

bool World::passes(const ServiceSpec& service, const Place& place) const {
  if (!reachable(place)) return false;
  return service.asks ? app(place) == App::works : app(place) != App::dead;
}

std::size_t World::broken() const {
  const auto apps_broken = std::ranges::count_if(apps, [](const auto& one) { return one.second != App::works; });
  return static_cast<std::size_t>(apps_broken + 2 * std::ranges::count(silent, true) + 2 * std::ranges::count(unplugged, true));
}

Model::Model(Spec first) : spec_(std::move(first)) {
  for (const ServiceSpec& service : spec_.services) services_[service.name] = {.loose = true};
}

bool Model::is_up(std::size_t service, std::size_t server) const {
  return std::ranges::all_of(spec_.together_with(service), [&](std::size_t member) {
    const ServiceSpec& spec = spec_.services[member];
    return world.passes(spec, spec.servers.at(server));
  });
}

bool Model::usable(std::size_t service, std::size_t server) const {
  const ServiceSpec& spec = spec_.services[service];
  return is_up(service, server) && !services_.at(spec.name).disabled.contains(spec.servers.at(server));
}

std::optional<std::size_t> Model::first_usable(std::size_t service) const {
  for (std::size_t server = 0; server < spec_.services[service].servers.size(); ++server)
    if (usable(service, server)) return server;
  return std::nullopt;
}

std::optional<std::size_t> Model::role(std::size_t service, const Place& place) const {
  const auto& servers = spec_.services[service].servers;
  const auto found = std::ranges::find(servers, place);
  if (found == servers.end()) return std::nullopt;
  return static_cast<std::size_t>(found - servers.begin());
}

bool Model::is_planned(std::size_t service, std::size_t server) const {
  return std::ranges::any_of(spec_.together_with(service), [&](std::size_t member) {
    const ServiceSpec& spec = spec_.services[member];
    return services_.at(spec.name).planned.contains(spec.servers.at(server));
  });
}

bool Model::has_former(std::size_t service) const {
  return std::ranges::any_of(spec_.together_with(service),
                             [&](std::size_t member) { return services_.at(spec_.services[member].name).former.has_value(); });
}

// ---- the operator

std::string Model::force(std::size_t service, std::size_t server, bool until_down, bool even_if_down) {
  for (const std::size_t member : spec_.together_with(service)) {
    const ServiceSpec& spec = spec_.services[member];
    if (spec.observe) return "it is observed";
    if (services_.at(spec.name).disabled.contains(spec.servers[server])) return "the server is disabled";
    if (!is_up(member, server) && !even_if_down) return "the server is down";
  }
  for (const std::size_t member : spec_.together_with(service)) {
    Service& one = services_.at(spec_.services[member].name);
    one.pin = Pin{.place = spec_.services[member].servers[server], .until_down = until_down};
    one.return_now = false;
  }
  return {};
}

std::string Model::disable(std::size_t service, std::size_t server, bool even_if_last) {
  for (const std::size_t member : spec_.together_with(service)) {
    const ServiceSpec& spec = spec_.services[member];
    const Service& one = services_.at(spec.name);
    const Place& place = spec.servers[server];
    if (one.pin && one.pin->place == place) return "it is pinned";
    if (even_if_last || (!is_up(member, server) && one.target != std::optional{place})) continue;
    bool other = false;
    for (std::size_t index = 0; index < spec.servers.size(); ++index) other |= index != server && usable(member, index);
    if (!other) return "it is the last";
  }
  for (const std::size_t member : spec_.together_with(service))
    services_.at(spec_.services[member].name).disabled.insert(spec_.services[member].servers[server]);
  return {};
}

void Model::enable(std::size_t service, std::size_t server) {
  for (const std::size_t member : spec_.together_with(service)) {
    Service& one = services_.at(spec_.services[member].name);
    const Place& place = spec_.services[member].servers[server];
    if (one.disabled.erase(place) > 0) one.planned.insert(place);
  }
}

void Model::end_override(std::size_t service) {
  for (const std::size_t member : spec_.together_with(service)) {
    Service& one = services_.at(spec_.services[member].name);
    if (one.pin) one.return_now = role(member, one.pin->place) != std::optional<std::size_t>{0};
    one.pin.reset();
  }
}

void Model::expire(std::size_t service) {
  for (const std::size_t member : spec_.together_with(service)) {
    Service& one = services_.at(spec_.services[member].name);
    one.return_now = one.pin.has_value();
    one.pin.reset();
  }
}

// ---- reload

namespace {

/// Where a server of before is now: at the same address, or the only new one on its machine.
std::optional<Place> follow(const Place& place, const std::vector<Place>& before, const std::vector<Place>& next) {
  if (std::ranges::find(next, place) != next.end()) return place;
  for (const Place& one : next) // no two of them are on one machine
    if (one.machine == place.machine && std::ranges::find(before, one) == before.end()) return one;
  return std::nullopt;
}

} // namespace

Service Model::carried_over(const ServiceSpec& next) const {
  const ServiceSpec* before = spec_.find(next.name);
  if (before == nullptr) { // its listeners bring along what the kernel has for them
    const auto had = [&](const ServiceSpec& old) { return std::ranges::find(old.listen, next.listen.front()) != old.listen.end(); };
    const auto holder = std::ranges::find_if(spec_.services, had);
    return {.target = holder == spec_.services.end() ? std::nullopt : services_.at(holder->name).target, .loose = true};
  }
  const Service& old = services_.at(next.name);
  Service now = old;
  now.loose = old.loose || before->servers != next.servers || before->listen != next.listen || before->udp != next.udp ||
              before->group != next.group || before->observe || next.observe || (!old.target && old.decided);
  if (*before != next) // what a server that works waits for may be what the reload changes
    for (const Place& place : next.servers)
      if (world.passes(next, place)) now.planned.insert(place);
  if (before->servers == next.servers) return now;
  now.pin.reset();
  if (old.pin)
    if (const auto place = follow(old.pin->place, before->servers, next.servers)) now.pin = Pin{*place, old.pin->until_down};
  now.disabled.clear();
  for (const Place& place : old.disabled)
    if (const auto moved = follow(place, before->servers, next.servers)) now.disabled.insert(*moved);
  for (std::size_t index = 0; index < next.servers.size(); ++index)
    if (index >= before->servers.size() || before->servers[index] != next.servers[index]) now.planned.insert(next.servers[index]);
  return now;
}

/// What is pinned or disabled in one service of a group is so in all, role by role; and what is not told of one is told of none.
void Model::share_in_groups() {
  for (std::size_t index = 0; index < spec_.services.size(); ++index) {
    const auto unit = spec_.together_with(index);
    if (unit.size() < 2 || unit.front() != index) continue;
    std::set<std::size_t> disabled;
    std::optional<std::pair<std::size_t, bool>> pin;
    bool loose = false;
    for (const std::size_t member : unit) {
      const Service& one = services_.at(spec_.services[member].name);
      for (const Place& place : one.disabled) disabled.insert(role(member, place).value());
      if (one.pin) pin = std::pair{role(member, one.pin->place).value(), one.pin->until_down};
      loose |= one.loose;
    }
    for (const std::size_t member : unit) {
      Service& one = services_.at(spec_.services[member].name);
      const auto& servers = spec_.services[member].servers;
      for (const std::size_t server : disabled) one.disabled.insert(servers[server]);
      if (pin) one.pin = Pin{servers[pin->first], pin->second};
      one.loose |= loose;
    }
  }
}

void Model::reload(const Spec& next) {
  std::map<std::string, Service> services;
  for (const ServiceSpec& service : next.services) services[service.name] = carried_over(service);
  services_ = std::move(services);
  spec_ = next;
  share_in_groups();
}

void Model::loosen_all() {
  for (auto& [name, service] : services_) service.loose = true;
}

void Model::change(const std::function<bool(const Place&)>& changes) {
  for (std::size_t index = 0; index < spec_.services.size(); ++index) {
    std::set<std::size_t> roles;
    for (const std::size_t member : spec_.together_with(index))
      for (const Place& place : spec_.services[member].servers)
        if (changes(place)) roles.insert(role(member, place).value());
    if (roles.size() > 1) services_.at(spec_.services[index].name).loose = true;
  }
}

// ---- where the traffic comes to rest

/// A disabled server is never chosen, and a pin with --until-down ends with its server.
void Model::end_void_pins(const std::vector<std::size_t>& unit) {
  for (const std::size_t member : unit) {
    Service& one = services_.at(spec_.services[member].name);
    if (!one.pin) continue;
    const auto server = role(member, one.pin->place);
    if (!one.disabled.contains(one.pin->place) && !(one.pin->until_down && !is_up(member, server.value()))) continue;
    one.pin.reset();
  }
}

namespace {

Expected somewhere_of(std::set<std::optional<Place>> targets) { return {.targets = std::move(targets), .moves = {}, .loose = true}; }

/// A loose service: what the rules allow, whatever the way.
/// `former`: its target may be one that a reload took away.
Expected loosely(const ServiceSpec& spec, const Service& service, const std::vector<Place>& usable, bool pin_is_up, bool former) {
  if (service.pin) {
    std::set<std::optional<Place>> any{service.pin->place};
    if (former && !pin_is_up) any.insert({service.target, service.former});
    return somewhere_of(std::move(any));
  }
  if (usable.empty()) {
    std::set<std::optional<Place>> any{std::nullopt};
    if (former) any.insert({service.target, service.former});
    if (spec.on_none == NoServer::keep) any.insert(spec.servers.begin(), spec.servers.end());
    return somewhere_of(std::move(any));
  }
  if (!spec.manual && spec.penalty_ms == 0) return somewhere_of({usable.front()});
  return somewhere_of({usable.begin(), usable.end()});
}

/// The rules for a service that had a target, or was refused.
Move next_move(const ServiceSpec& spec, const Service& service, const std::vector<Place>& usable, bool target_is_up) {
  Move stay{.service = spec.name, .from = service.target, .to = service.target, .why = {}};
  const auto to = [&](std::optional<Place> place, std::string why, bool planned = false) {
    return Move{.service = spec.name, .from = service.target, .to = place, .why = std::move(why), .planned = planned};
  };
  if (service.pin) return service.target == service.pin->place ? stay : to(service.pin->place, "forced", true);
  if (!service.target) return usable.empty() ? stay : to(usable.front(), "recovered");
  const bool disabled = service.disabled.contains(*service.target);
  if (target_is_up && !disabled) {
    const bool back = usable.front() != *service.target &&
                      std::ranges::find(spec.servers, usable.front()) < std::ranges::find(spec.servers, *service.target);
    if (!back || (spec.manual && !service.return_now)) return stay;
    return to(usable.front(), "failback", service.return_now);
  }
  const bool is_planned = target_is_up; // it was disabled
  if (!usable.empty()) return to(usable.front(), is_planned ? "disabled" : "failover", is_planned);
  if (spec.on_none == NoServer::keep && !disabled) return stay;
  return to(std::nullopt, "no-server-up", is_planned);
}

} // namespace

void Model::rest_one(std::size_t index, std::map<std::string, Expected>& result) {
  const ServiceSpec& spec = spec_.services[index];
  Service& service = services_.at(spec.name);
  std::vector<Place> usable_places;
  for (std::size_t server = 0; server < spec.servers.size(); ++server)
    if (usable(index, server)) usable_places.push_back(spec.servers[server]);
  if (spec.observe && service.loose) { // what the kernel had when it began
    std::set<std::optional<Place>> any{std::nullopt};
    for (unsigned machine = 0; machine < machines; ++machine)
      for (const std::uint16_t port : app_ports) any.insert(Place{machine, port});
    result[spec.name] = somewhere_of(std::move(any));
    return;
  }
  if (spec.observe) {
    result[spec.name] = {.targets = {service.target}, .moves = {}};
    return;
  }
  const bool up = service.target && role(index, *service.target) && is_up(index, *role(index, *service.target));
  Move move = next_move(spec, service, usable_places, up);
  if (move.why == "failback") move.perhaps_planned |= is_planned(index, role(index, *move.to).value());
  // The default penalty: a server that has lost the traffic lately may be passed over.
  const bool may_be_flapping = spec.manual && !service.pin && move.to && move.to != service.target;
  if (service.loose || spec.penalty_ms > 0 || may_be_flapping) {
    const auto pinned = service.pin ? role(index, service.pin->place) : std::nullopt;
    result[spec.name] = loosely(spec, service, usable_places, pinned && is_up(index, *pinned), has_former(index));
    service.return_now = false;
    return;
  }
  service.return_now = false;
  Expected expected{.targets = {move.to}, .moves = {}};
  service.target = move.to;
  if (!move.why.empty()) expected.moves.push_back(std::move(move));
  result[spec.name] = std::move(expected);
}

std::map<std::string, Expected> Model::rest() {
  std::map<std::string, Expected> result;
  for (std::size_t index = 0; index < spec_.services.size(); ++index) {
    Service& one = services_.at(spec_.services[index].name);
    if (one.target) one.former = role(index, *one.target) ? std::nullopt : one.target;
  }
  std::vector<std::size_t> with_former; // where one service of a group has one, each has that server which has its traffic
  for (std::size_t index = 0; index < spec_.services.size(); ++index)
    if (!spec_.services[index].observe && has_former(index)) with_former.push_back(index);
  for (const std::size_t index : with_former) {
    Service& one = services_.at(spec_.services[index].name);
    one.loose = true;
    if (!one.former) one.former = one.target;
  }
  for (std::size_t index = 0; index < spec_.services.size(); ++index) {
    const auto unit = spec_.together_with(index);
    if (unit.front() == index) end_void_pins(unit);
  }
  for (std::size_t index = 0; index < spec_.services.size(); ++index) rest_one(index, result);
  for (auto& [name, service] : services_)
    if (service.target && !service.loose) service.planned.erase(*service.target);
  return result;
}

void Model::adopt(const std::string& name, const std::optional<Place>& target) {
  Service& service = services_.at(name);
  service.target = target;
  service.decided = true;
  service.loose = false;
}

bool Model::may_move(const std::string& name, const std::optional<Place>& target) const {
  const auto spec = std::ranges::find(spec_.services, name, &ServiceSpec::name);
  if (spec->penalty_ms == 0 || spec->manual || spec->observe || services_.at(name).pin) return false;
  const auto best = first_usable(static_cast<std::size_t>(spec - spec_.services.begin()));
  return best && target != std::optional{spec->servers[*best]};
}

} // namespace hanat::test::model
