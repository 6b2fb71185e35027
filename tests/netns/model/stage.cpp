// One function a verb; those of hanatd and the kernel are in stage_kernel.cpp.
#include "tests/netns/model/stage.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "daemon/api/client.hpp"
#include "tests/netns/model/edits.hpp"

namespace hanat::test::model {
namespace {

using nlohmann::json;

constexpr std::size_t most_broken = 4, most_held = 8;
constexpr double short_time_s = 0.2, long_time_s = 600;

Place place_of(unsigned number) { return {.machine = number % machines, .port = app_ports.at(number / machines % app_ports.size())}; }

/// What the operator wants for old flows: nothing, a reset, a drain.
std::string add_flows(unsigned number, json& parameters) {
  switch (number % 4) {
  case 1: parameters["reset"] = true; return "reset";
  case 2: parameters["drain_s"] = 60.0; return "drain 60s";
  case 3: parameters["drain_s"] = 1.0; return "drain 1s";
  default: return {};
  }
}

bool is_reachable_and_answers(const World& world, const Place& place) { return world.reachable(place) && world.app(place) == App::works; }

} // namespace

Program::Program(Lab& lab, const Place& place) : Program(lab, place, std::make_shared<std::atomic<bool>>(false)) {}

Program::Program(Lab& lab, const Place& place, std::shared_ptr<std::atomic<bool>> wrong)
    : StreamServer(lab, hosts.at(place.machine), place.port,
                   [name = name_of(place), wrong](std::string& input) {
                     std::string reply;
                     for (auto end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
                       input.erase(0, end + 1);
                       reply += (*wrong ? "wrong" : name) + "\n";
                     }
                     return reply;
                   }),
      wrong_(std::move(wrong)), datagrams_(lab, hosts.at(place.machine), place.port, name_of(place)) {}

void Program::become(App mode) {
  *wrong_ = mode == App::wrong;
  hang(mode == App::hangs);
  if (mode == App::dead) {
    kill();
    datagrams_.kill();
  } else {
    start();
    datagrams_.start();
  }
}

Stage::Stage(bool shared) : model(first_spec()), shared_table(shared) {
  for (unsigned number = 0; number < machines * app_ports.size(); ++number)
    programs_[place_of(number)] = std::make_unique<Program>(lab, place_of(number));
  hanatd = std::make_unique<Hanatd>(
      lab, to_toml(model.spec()),
      HanatdOptions{.arguments = shared ? std::vector<std::string>{"--shared-table"} : std::vector<std::string>{}});
}

Stage::~Stage() = default;

json Stage::call(const std::string& method, const json& parameters) const { return hanat::call(hanatd->socket(), method, parameters); }

Done Stage::carry_out(const Step& step) {
  switch (step.verb) {
  case Verb::shared_table: return {.text = "hanatd shares its table"};
  case Verb::app: return on_app(step);
  case Verb::silent:
  case Verb::link: return on_machine(step);
  case Verb::flap: return on_flap(step);
  case Verb::blackout: return on_blackout(step);
  case Verb::force: return on_force(step);
  case Verb::unforce: return on_unforce(step);
  case Verb::disable: return on_disable(step);
  case Verb::enable: return on_enable(step);
  case Verb::edit: return on_edit(step);
  case Verb::restart:
  case Verb::kill: return on_start(step);
  case Verb::foreign: return on_foreign(step);
  case Verb::forget: return on_forget();
  case Verb::full: return on_full();
  case Verb::connect: return on_connect(step);
  case Verb::close: return on_close(step);
  case Verb::reconnect: return on_reconnect(step);
  case Verb::idle: break;
  }
  std::this_thread::sleep_for(milliseconds{100 + step.c % 200}); // nothing may happen
  return {.text = "nothing happens"};
}

// ---- the world

Done Stage::on_app(const Step& step) {
  Place place = place_of(step.a);
  for (unsigned next = step.a;
       model.world.broken() >= most_broken && model.world.app(place) == App::works && next < step.a + programs_.size();)
    place = place_of(++next); // enough is broken: the next broken one is repaired
  const bool broken = model.world.app(place) != App::works;
  if (!broken && model.world.broken() >= most_broken) return {.text = "nothing: enough is broken"};
  constexpr std::array ways{App::dead, App::hangs, App::dead, App::wrong};
  const App mode = broken && step.b % 4 != 0 ? App::works : ways.at(step.c % ways.size());
  if (mode == App::dead) clients.on_program_ended(place);
  clients.on_world_changed(place);
  model.change([&place](const Place& one) { return one == place; });
  programs_.at(place)->become(mode);
  model.world.apps[place] = mode;
  return {.text = fmt::format("{}: {}", name_of(place), to_text(mode))};
}

void Stage::world_changed(unsigned machine) {
  for (const std::uint16_t port : app_ports) clients.on_world_changed({.machine = machine, .port = port});
}

Done Stage::on_machine(const Step& step) {
  auto& world = model.world;
  unsigned machine = step.a % machines;
  const auto& states = step.verb == Verb::silent ? world.silent : world.unplugged;
  if (const auto set = std::ranges::find(states, true); set != states.end()) machine = static_cast<unsigned>(set - states.begin());
  auto& state = step.verb == Verb::silent ? world.silent.at(machine) : world.unplugged.at(machine);
  const bool others = std::ranges::count(world.silent, true) + std::ranges::count(world.unplugged, true) > 0;
  if (!state && (others || world.broken() >= most_broken)) return {.text = "nothing: enough is broken"};
  state = !state;
  world_changed(machine);
  model.change([machine](const Place& place) { return place.machine == machine; });
  if (step.verb == Verb::silent)
    lab.silent(hosts.at(machine), state);
  else
    lab.link(hosts.at(machine), !state);
  const char* const what =
      step.verb == Verb::silent ? (state ? "is silent" : "is silent no more") : (state ? "is unplugged" : "has its link again");
  return {.text = fmt::format("machine {} {}", "abc"[machine], what)};
}

Done Stage::on_flap(const Step& step) {
  const Place place = place_of(step.a);
  if (model.world.app(place) != App::works) return {.text = "nothing: it does not work"};
  for (const ServiceSpec& service : model.spec().services)
    if (const auto& pin = model.service(service.name).pin; pin && pin->until_down) return {.text = "nothing: an override may end"};
  const milliseconds away{5 + step.c % 145};
  clients.on_program_ended(place);
  clients.on_world_changed(place);
  for (const ServiceSpec& service : model.spec().services)
    if (std::ranges::find(service.servers, place) != service.servers.end())
      for (const std::size_t member : model.spec().together_with(static_cast<std::size_t>(&service - model.spec().services.data())))
        model.service(model.spec().services[member].name).loose = true;
  programs_.at(place)->become(App::dead);
  std::this_thread::sleep_for(away);
  programs_.at(place)->become(App::works);
  std::this_thread::sleep_for(milliseconds{30}); // what hanatd saw of it has been judged
  return {.text = fmt::format("{} is gone for {} ms", name_of(place), away.count())};
}

/// No machine answers for a moment, as when a switch restarts.
Done Stage::on_blackout(const Step& step) {
  auto& world = model.world;
  if (std::ranges::count(world.silent, true) + std::ranges::count(world.unplugged, true) > 0) return {.text = "nothing: a machine is away"};
  for (const ServiceSpec& service : model.spec().services)
    if (const auto& pin = model.service(service.name).pin; pin && pin->until_down) return {.text = "nothing: an override may end"};
  clients.on_anything();
  model.loosen_all();
  const milliseconds away{20 + step.c % 600};
  for (const Host host : hosts) lab.silent(host, true);
  std::this_thread::sleep_for(away);
  for (const Host host : hosts) lab.silent(host, false);
  std::this_thread::sleep_for(milliseconds{600}); // probes that were on their way have ended
  return {.text = fmt::format("all machines are silent for {} ms", away.count())};
}

// ---- the operator

namespace {

/// nullopt: it was accepted.
std::optional<std::string> refusal_of(const Stage& stage, const std::string& method, const json& parameters) {
  try {
    stage.call(method, parameters);
    return std::nullopt;
  } catch (const Refusal& refusal) {
    return refusal.what();
  }
}

std::string role_of(std::size_t server) { return server == 0 ? "primary" : server == 1 ? "backup" : fmt::format("backup{}", server); }

} // namespace

/// `tell` tells the model, which answers why hanatd must refuse; with true: hanatd did not, though it may have had a reason.
bool Stage::ask_operator(const std::string& method, const json& parameters, const std::function<std::string(bool)>& tell) {
  const auto refused = refusal_of(*this, method, parameters);
  if (racing && refused) return false; // what is up is not sure
  const std::string because = tell(racing);
  if (refused && because.empty()) throw std::runtime_error(fmt::format("{} {} is refused: {}", method, parameters.dump(), *refused));
  if (!refused && !because.empty())
    throw std::runtime_error(fmt::format("{} {} is not refused, although {}", method, parameters.dump(), because));
  return !refused;
}

Done Stage::on_force(const Step& step) {
  const std::size_t service = step.a % model.spec().services.size();
  const ServiceSpec& spec = model.spec().services[service];
  const std::size_t server = step.b % spec.servers.size();
  const unsigned way = step.c % 5;
  const bool until_down = way == 1 && !racing && !step.races, even_if_down = way == 2, shortly = way == 3 && !step.races;
  json parameters = {{"service", spec.name}, {"server", role_of(server)}};
  if (until_down) parameters["until_down"] = true;
  if (even_if_down) parameters["even_if_down"] = true;
  if (shortly || way == 4) parameters["for_s"] = shortly ? short_time_s : long_time_s;
  Done done{.text = fmt::format("force {} to {}{}", spec.name, name_of(spec.servers[server]),
                                until_down     ? " until it is down"
                                : even_if_down ? " even if it is down"
                                : shortly      ? " for a moment"
                                               : "")};
  done.asked_flows = add_flows(step.c / 5, parameters);
  const bool accepted =
      ask_operator("Force", parameters, [&](bool any) { return model.force(service, server, until_down, even_if_down || any); });
  if (!accepted) done.text += ", which is refused";
  if (accepted && shortly)
    done.expires = [service](Model& later) {
      if (later.service(later.spec().services[service].name).pin) later.expire(service);
    };
  return done;
}

Done Stage::on_unforce(const Step& step) {
  const std::size_t service = step.a % model.spec().services.size();
  const ServiceSpec& spec = model.spec().services[service];
  if (spec.observe) return {.text = "nothing: it is observed"};
  json parameters = {{"service", spec.name}};
  Done done{.text = "auto " + spec.name};
  done.asked_flows = add_flows(step.c, parameters);
  ask_operator("Auto", parameters, [&](bool) { return model.end_override(service), std::string{}; });
  return done;
}

Done Stage::on_disable(const Step& step) {
  const std::size_t service = step.a % model.spec().services.size();
  const ServiceSpec& spec = model.spec().services[service];
  const std::size_t server = step.b % spec.servers.size();
  const bool even_if_last = step.c % 4 == 1, shortly = step.c % 4 == 2 && !step.races;
  const bool was = model.service(spec.name).disabled.contains(spec.servers[server]);
  json parameters = {{"service", spec.name}, {"server", role_of(server)}};
  if (even_if_last) parameters["even_if_last"] = true;
  if (shortly) parameters["for_s"] = short_time_s;
  Done done{.text = fmt::format("disable {} {}{}", spec.name, name_of(spec.servers[server]), shortly ? " for a moment" : "")};
  done.asked_flows = add_flows(step.c / 4, parameters);
  if (was) return {.text = "nothing: it is disabled already"};
  const bool accepted = ask_operator("Disable", parameters, [&](bool any) { return model.disable(service, server, even_if_last || any); });
  if (!accepted) done.text += ", which is refused";
  if (accepted && shortly) done.expires = [service, server](Model& later) { later.enable(service, server); };
  return done;
}

Done Stage::on_enable(const Step& step) {
  const auto& services = model.spec().services;
  std::size_t service = step.a % services.size();
  for (std::size_t tried = 0; model.service(services[service].name).disabled.empty() && tried < services.size(); ++tried)
    service = (service + 1) % services.size();
  const ServiceSpec& spec = services[service];
  const auto& disabled = model.service(spec.name).disabled;
  if (disabled.empty()) return {.text = "nothing: no server is disabled"};
  const Place place = *std::next(disabled.begin(), static_cast<std::ptrdiff_t>(step.b % disabled.size()));
  const auto server = static_cast<std::size_t>(std::ranges::find(spec.servers, place) - spec.servers.begin());
  json parameters = {{"service", spec.name}, {"server", role_of(server)}};
  Done done{.text = fmt::format("enable {} {}", spec.name, name_of(place))};
  done.asked_flows = add_flows(step.c, parameters);
  ask_operator("Enable", parameters, [&](bool) { return model.enable(service, server), std::string{}; });
  return done;
}

namespace {

/// A probe that asks now has to pass before it decides: where a server works and does not answer as it should, it never does.
bool is_held(const Spec& next, const Model& model, bool racing) {
  return std::ranges::any_of(next.services, [&](const ServiceSpec& service) {
    const ServiceSpec* const before = model.spec().find(service.name);
    if (before == nullptr || before->asks || !service.asks) return false;
    return racing || std::ranges::any_of(service.servers, [&model](const Place& place) {
             return model.world.app(place) == App::hangs || model.world.app(place) == App::wrong;
           });
  });
}

} // namespace

Done Stage::on_edit(const Step& step) {
  constexpr unsigned one_in = 40;
  if (step.c % one_in == one_in - 1) {
    hanatd->write_config(to_toml(model.spec()) + "\n[service.broken]\nlisten = 7\n");
    if (!refusal_of(*this, "Reload", json::object())) throw std::runtime_error("a file with an error is accepted");
    hanatd->write_config(to_toml(model.spec()));
    return {.text = "a reload of a file with an error"};
  }
  Spec next = model.spec();
  const auto busy = [&](const ServiceSpec& service) {
    const Service& one = model.service(service.name);
    return one.pin.has_value() || one.loose || !one.target;
  };
  std::string text = apply_edit(next, step.a, step.b, step.c, busy);
  if (text == "nothing") return {.text = "nothing: that edit is not possible"};
  if (is_held(next, model, racing || step.races))
    return {.text = "nothing: a server connects and does not answer: its old verdict would stand"};
  hanatd->write_config(to_toml(next));
  if (const auto refused = refusal_of(*this, "Reload", json::object())) throw std::runtime_error("the reload is refused: " + *refused);
  model.reload(next);
  return {.text = "reload: " + text, .reloaded = true};
}

// ---- clients

Done Stage::on_connect(const Step& step) {
  const auto& services = model.spec().services;
  const auto serves = [&](const ServiceSpec& one) {
    const auto& target = model.service(one.name).target;
    return target && !one.observe && is_reachable_and_answers(model.world, *target) && !model.may_move(one.name, target);
  };
  std::size_t which = step.a % services.size();
  for (std::size_t tried = 0; !serves(services[which]) && tried < services.size(); ++tried) which = (which + 1) % services.size();
  const ServiceSpec& spec = services[which];
  if (step.races || racing || clients.size() >= most_held || !serves(spec)) return {.text = "nothing: no connection"};
  const auto& target = model.service(spec.name).target;
  const std::uint16_t port = spec.listen[step.b % spec.listen.size()];
  clients.open(spec, port, *target);
  if (spec.udp) clients.talk(spec, port, *target);
  return {.text = fmt::format("a connection to {} ({}), at {}", port, spec.name, name_of(*target))};
}

Done Stage::on_close(const Step& step) {
  if (clients.size() == 0) return {.text = "nothing: no connection"};
  clients.close(step.a, step.c % 2 == 0);
  return {.text = "a connection is closed"};
}

Done Stage::on_reconnect(const Step& step) {
  if (clients.size() == 0 || step.races || racing) return {.text = "nothing: no connection"};
  const Held& held = clients.at(step.a);
  const std::uint16_t port = held.port, listen = held.listen;
  clients.close(step.a, true);
  for (const ServiceSpec& spec : model.spec().services) {
    const auto& target = model.service(spec.name).target;
    if (std::ranges::find(spec.listen, listen) == spec.listen.end()) continue;
    if (!target || spec.observe || !is_reachable_and_answers(model.world, *target) || model.may_move(spec.name, target)) break;
    clients.open(spec, listen, *target, port);
    return {.text = fmt::format("the client with port {} connects to {} again, at {}", port, listen, name_of(*target))};
  }
  return {.text = "a connection is closed"};
}

} // namespace hanat::test::model
