// The table, single requests, the metrics.
#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/netns/lab/synth.hpp"
#include "tests/netns/model/checker.hpp"

namespace hanat::test::model {
namespace {

constexpr milliseconds table_pause{10}, table_patience{10'000};
constexpr std::chrono::seconds recent_for{62};

/// "203.0.113.10 tcp 443"
std::string key_of(std::uint16_t listener, std::string_view protocol = "tcp") {
  return fmt::format("203.0.113.10 {} {}", protocol, listener);
}
std::string key_of(const std::string& listener, const Place& place) {
  return fmt::format("{} {} {}", listener, Lab::address(hosts.at(place.machine)).text(), place.port);
}
std::vector<std::string> listener_keys_of(const ServiceSpec& spec) {
  std::vector<std::string> keys;
  for (const std::uint16_t listener : spec.listen) {
    keys.push_back(key_of(listener));
    if (spec.udp) keys.push_back(key_of(listener, "udp"));
  }
  return keys;
}
std::vector<Place> all_places() {
  std::vector<Place> places;
  for (unsigned machine = 0; machine < machines; ++machine)
    for (const std::uint16_t port : app_ports) places.push_back({machine, port});
  return places;
}
std::string address_key_of(const Place& place) { return fmt::format("{} {}", Lab::address(hosts.at(place.machine)).text(), place.port); }

std::string server_key_of(const Place& place) { return fmt::format("{} tcp {}", Lab::address(hosts.at(place.machine)).text(), place.port); }

using Keys = std::map<std::string, std::string>;

/// What a set has too much and too little; keys of `either` are allowed and not needed.
std::string set_difference(const std::string& name, const Keys& there, const Keys& needed, const std::set<std::string>& either = {}) {
  std::string text;
  for (const auto& [key, value] : there) {
    if (either.contains(key)) continue;
    const auto found = needed.find(key);
    if (found == needed.end())
      text += fmt::format("{} has {}; ", name, key);
    else if (!found->second.empty() && value.find(found->second) == std::string::npos)
      text += fmt::format("{} leads {} to {}, not {}; ", name, key, value, found->second);
  }
  for (const auto& [key, value] : needed)
    if (!there.contains(key)) text += fmt::format("{} lacks {}; ", name, key);
  return text;
}

} // namespace

// ---- the table

/// When the server of each listener changed last.
void Checker::note_endpoints() {
  const auto now = TestClock::now();
  for (const ServiceSpec& spec : stage_.model.spec().services) {
    const bool moves = passages_.at(spec.name).loose || passages_.at(spec.name).by_reload || !passages_.at(spec.name).moves.empty();
    for (const std::uint16_t listener : spec.listen)
      if (moves) listener_moved_[listener] = now;
  }
}

std::string Checker::table_difference(const TableView& view) const {
  if (!view.there) return "there is no table";
  const Model& model = stage_.model;
  Keys vips, dnat, reject, masquerade, servers;
  std::set<std::string> either, either_source, either_server;
  for (std::size_t index = 0; index < model.spec().services.size(); ++index) {
    const ServiceSpec& spec = model.spec().services[index];
    const auto& target = model.service(spec.name).target;
    for (const Place& place : spec.servers)
      if (spec.observe)
        either_server.insert(server_key_of(place));
      else
        servers[server_key_of(place)] = {};
    if (spec.observe && target) either_server.insert(server_key_of(*target)); // perhaps of an older configuration
    const bool former = !spec.observe && target && std::ranges::find(spec.servers, *target) == spec.servers.end();
    if (former) servers[server_key_of(*target)] = {};
    for (const std::string& listener : listener_keys_of(spec)) {
      if (spec.observe || passages_.at(spec.name).restless) {
        either.insert(listener);
        for (const Place& place : all_places()) either_source.insert(key_of(listener, place));
        continue;
      }
      vips[listener] = {};
      if (target) dnat[listener] = address_key_of(*target);
      if (!target) reject[listener] = spec.on_none == NoServer::drop ? "drop" : "refuse";
      if (spec.masquerade)
        for (const Place& place : spec.servers) masquerade[key_of(listener, place)] = {};
      if (!former && !model.has_former(index)) continue;
      for (const Place& place : all_places()) either_source.insert(key_of(listener, place)); // as the configuration was that had them
    }
  }
  for (const auto& [key, none] : servers) either_server.erase(key);
  return set_difference("vips4", view.set("vips4"), vips, either) + set_difference("dnat4", view.set("dnat4"), dnat, either) +
         set_difference("reject4", view.set("reject4"), reject, either) +
         set_difference("masquerade4", view.set("masquerade4"), masquerade, either_source) +
         set_difference("servers4", view.set("servers4"), servers, either_server) + guards_difference(view);
}

/// What helps clients over a move: where it must be, and that it does not stay.
std::string Checker::guards_difference(const TableView& view) const {
  const Model& model = stage_.model;
  Keys hold;
  std::set<std::string> unknown, recent, stale; // unknown: may be held or not
  for (std::size_t index = 0; index < model.spec().services.size(); ++index) {
    const ServiceSpec& spec = model.spec().services[index];
    const Service& service = model.service(spec.name);
    for (const std::string& listener : listener_keys_of(spec)) {
      const bool udp = listener.find("udp") != std::string::npos; // held also while old flows are being cut
      if (spec.observe || passages_.at(spec.name).restless || udp)
        for (const Place& place : all_places()) unknown.insert(key_of(listener, place));
      bool other = false; // that could take over
      for (std::size_t server = 0; server < spec.servers.size(); ++server)
        other |= spec.servers[server] != service.target && model.is_up(index, server) && !service.disabled.contains(spec.servers[server]);
      if (service.target && other && !service.pin && !spec.observe && !passages_.at(spec.name).restless && !udp)
        hold[key_of(listener, *service.target)] = {};
    }
  }
  const auto now = TestClock::now();
  for (const auto& [listener, when] : listener_moved_)
    if (now - std::max(when, started_) < recent_for) {
      recent.insert(key_of(listener));
      for (const Place& place : all_places())
        for (const char* const protocol : {"tcp", "udp"}) stale.insert(key_of(key_of(listener, protocol), place));
    }
  std::string text = set_difference("hold4", view.set("hold4"), hold, unknown) +
                     set_difference("recent4", view.set("recent4"), {}, recent) + set_difference("stale4", view.set("stale4"), {}, stale);
  for (const auto& [chain, rules] : rules_)
    if (const auto there = view.rules.find(chain); there == view.rules.end() || there->second != rules)
      text += fmt::format("chain {} has not its {} rules; ", chain, rules);
  return text;
}

void Checker::check_table() {
  const auto end = TestClock::now() + table_patience;
  while (true) {
    const std::string differs = table_difference(read_table(stage_.lab));
    if (differs.empty()) return;
    if (TestClock::now() > end) throw std::runtime_error("the table: " + differs);
    std::this_thread::sleep_for(table_pause);
  }
}

/// Some seconds after a move no flow is left at a server that is not the target, unless it may stay.
void Checker::check_leftovers(const Status& status) const {
  constexpr std::chrono::seconds long_after{6};
  std::map<std::uint16_t, Place> targets;
  for (const ServiceStatus& service : status.services) {
    const ServiceSpec* const spec = stage_.model.spec().find(service.name);
    const Passage& passage = passages_.at(service.name);
    constexpr std::chrono::seconds closing{125}; // a drain is over when those are left that one side has closed
    if (spec->observe || passage.restless || !passage.target) continue;
    const auto drains = [&](std::uint16_t listener) {
      const auto drained = drained_.find(listener);
      return drained != drained_.end() && TestClock::now() - drained->second < closing;
    };
    for (const std::uint16_t listener : spec->listen) {
      const auto moved = listener_moved_.find(listener);
      const bool recently = moved != listener_moved_.end() && TestClock::now() - std::max(moved->second, started_) <= long_after;
      if (!recently && !drains(listener)) targets[listener] = *passage.target;
    }
  }
  const std::vector<Flow> flows = stage_.lab.in(Host::gateway, [] { return conntrack_entries(); });
  for (const Flow& flow : flows)
    if (const auto target = targets.find(flow.mapping.vip.port); target != targets.end() &&
                                                                 flow.mapping.vip.address == Lab::vip(0).address &&
                                                                 to_text(flow.mapping.server) != address_of(target->second))
      throw std::runtime_error(fmt::format("a flow to {} is still at {}, and the target is {}", target->first, to_text(flow.mapping.server),
                                           name_of(target->second)));
}

// ---- what new clients get

void Checker::check_requests() {
  constexpr milliseconds answer_in{3000}, silence{25};
  const Model& model = stage_.model;
  for (const ServiceSpec& spec : model.spec().services) {
    const auto& target = model.service(spec.name).target;
    if (spec.observe || passages_.at(spec.name).restless) continue;
    for (const std::uint16_t listener : spec.listen) {
      const auto expect = [&](Result result, const std::string& text, milliseconds deadline) {
        const Attempt got = connect_once(stage_.lab, Host::client, Lab::vip(listener), deadline);
        if (got.result != result || (!text.empty() && got.text != text))
          throw std::runtime_error(fmt::format("a client of {} ({}) should be {} {}, and is {} {}", listener, spec.name, to_text(result),
                                               text, to_text(got.result), got.text));
      };
      if (!target && spec.on_none == NoServer::drop) expect(Result::timeout, "", silence);
      if (!target && spec.on_none != NoServer::drop) expect(Result::refused, "", answer_in);
      if (!target || !model.world.reachable(*target)) continue;
      const App app = model.world.app(*target);
      if (app != App::dead && spec.udp) {
        constexpr std::uint16_t first_port = 1024, last_port = 9999; // no other socket is given one of these
        port_ = port_ < first_port || port_ == last_port ? first_port : static_cast<std::uint16_t>(port_ + 1);
        const Attempt got = UdpClient(stage_.lab, Host::client, Lab::vip(listener), port_).ask(answer_in);
        if (got.text != name_of(*target))
          throw std::runtime_error(fmt::format("a datagram to {} ({}) should be answered by {}: {} {}", listener, spec.name,
                                               name_of(*target), to_text(got.result), got.text));
      }
      if (app == App::works || app == App::wrong) expect(Result::answered, app == App::works ? name_of(*target) : "wrong", answer_in);
    }
  }
}

// ---- metrics

namespace {

/// Lines by name and labels.
std::map<std::string, double> scrape(Lab& lab) {
  const Output output = run_at(lab, Host::gateway, {"curl", "-s", "-m", "5", "http://127.0.0.1:9717/metrics"});
  std::map<std::string, double> lines;
  std::istringstream text(output.out);
  for (std::string line; std::getline(text, line);)
    if (const auto space = line.rfind(' '); !line.starts_with('#') && space != std::string::npos)
      lines[line.substr(0, space)] = std::stod(line.substr(space + 1));
  return lines;
}

/// The same figures out of the JSON.
std::map<std::string, double> figures_of(const Status& status) {
  std::map<std::string, double> lines;
  for (const ServiceStatus& service : status.services) {
    const auto add = [&](const std::string& name, const std::string& labels, auto value) {
      lines[fmt::format("{}{{service=\"{}\"{}}}", name, service.name, labels)] = static_cast<double>(value);
    };
    for (const auto& [why, number] : service.totals.flips) add("hanat_flips_total", fmt::format(",why=\"{}\"", why), number);
    add("hanat_forced", "", service.forced ? 1 : 0);
    for (const ServerStatus& server : service.servers) {
      const std::string role = fmt::format(",server=\"{}\"", server.role);
      add("hanat_target", role, service.target == server.role ? 1 : 0);
      add("hanat_up", role + fmt::format(",address=\"{}\"", server.address), server.health == "up" ? 1 : 0);
      add("hanat_disabled", role, server.disabled ? 1 : 0);
    }
    add("hanat_target", ",server=\"none\"", service.target == "none" ? 1 : 0);
  }
  lines["hanat_services"] = static_cast<double>(status.services.size());
  return lines;
}

} // namespace

void Checker::check_metrics(const Status& status) const {
  const auto lines = scrape(stage_.lab);
  if (figures_of(stage_.hanatd->status()) != figures_of(status)) return; // something ends meanwhile
  for (const auto& [name, value] : figures_of(status)) {
    const auto found = lines.find(name);
    if (found == lines.end() || found->second != value)
      throw std::runtime_error(fmt::format("the metrics have {} {}, and the status {}", name,
                                           found == lines.end() ? "(nothing)" : std::to_string(found->second), value));
  }
}

} // namespace hanat::test::model
