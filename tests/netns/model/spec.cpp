// Values and their TOML.
#include "tests/netns/model/spec.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hanat::test::model {
namespace {

std::string quoted(const std::string& text) { return fmt::format("\"{}\"", text); }

std::string itself(const std::string& text) { return text; }

template <typename Range, typename Text> std::string list_of(const Range& range, Text text) {
  std::string result;
  for (const auto& one : range) result += (result.empty() ? "" : ", ") + quoted(text(one));
  return "[" + result + "]";
}

std::string_view to_text(NoServer action) {
  switch (action) {
  case NoServer::refuse: return "refuse";
  case NoServer::drop: return "drop";
  case NoServer::keep: return "keep";
  }
  return "?";
}

/// "203.0.113.10:443/tcp"
std::vector<std::string> listeners_of(const ServiceSpec& service) {
  std::vector<std::string> texts;
  for (const std::uint16_t port : service.listen) {
    texts.push_back(to_text(Lab::vip(port)) + "/tcp");
    if (service.udp) texts.push_back(to_text(Lab::vip(port)) + "/udp");
  }
  return texts;
}

std::string to_toml(const ServiceSpec& service) {
  const std::span others = std::span{service.servers}.subspan(1);
  std::string text = fmt::format("[service.{}]\nlisten = {}\nprimary = \"{}\"\n", service.name, list_of(listeners_of(service), itself),
                                 address_of(service.servers.front()));
  if (!others.empty()) text += fmt::format("backup = {}\n", list_of(others, address_of));
  text += fmt::format("probe = {{ type = \"tcp\", interval = \"{}ms\", fast_interval = \"{}ms\", timeout = \"{}ms\"{} }}\n",
                      service.interval_ms, service.fast_ms, service.timeout_ms,
                      service.asks ? R"(, send = "who\n", expect_regex = "^[abc]8")" : "");
  text += fmt::format("down = {{ fails = {}, within = \"3s\" }}\nup = {{ passes = {}, stable_for = \"{}ms\" }}\n", service.fails,
                      service.passes, service.stable_ms);
  text += service.manual ? "failback = \"manual\"\n" : fmt::format("failback = {{ penalty = \"{}ms\" }}\n", service.penalty_ms);
  text += fmt::format("on_none = \"{}\"\nnone_after = \"{}ms\"\non_failover = \"{}\"\non_failback = \"reset\"\non_forced = \"{}\"\n",
                      to_text(service.on_none), service.none_after_ms, service.on_failover, service.on_forced);
  if (service.masquerade) text += "snat = \"masquerade\"\n";
  if (service.observe) text += "mode = \"observe\"\n";
  return text + "\n";
}

} // namespace

std::string name_of(const Place& place) { return fmt::format("{}{}", "abc"[place.machine], place.port); }
std::string address_of(const Place& place) { return to_text(Lab::endpoint(hosts.at(place.machine), place.port)); }

unsigned ServiceSpec::reaction_ms() const {
  constexpr unsigned settling = 1000; // the moment that a server gets after an outage
  return interval_ms + 2 * timeout_ms + (fails + passes) * fast_ms + stable_ms + none_after_ms + std::min(settling, none_after_ms);
}

const ServiceSpec* Spec::find(const std::string& name) const {
  const auto found = std::ranges::find(services, name, &ServiceSpec::name);
  return found == services.end() ? nullptr : &*found;
}

std::vector<std::size_t> Spec::together_with(std::size_t service) const {
  if (services[service].group.empty()) return {service};
  std::vector<std::size_t> result;
  for (std::size_t index = 0; index < services.size(); ++index)
    if (services[index].group == services[service].group) result.push_back(index);
  return result;
}

Spec first_spec() {
  const auto at = [](unsigned machine, unsigned app) { return Place{machine, app_ports.at(app)}; };
  ServiceSpec web{.name = "web", .listen = {443, 444}, .servers = {at(0, 0), at(1, 0)}, .udp = true};
  ServiceSpec mail{.name = "mail", .listen = {445}, .servers = {at(1, 0), at(2, 0), at(0, 0)}, .asks = true};
  mail.on_forced = "drain 60s";
  ServiceSpec db{.name = "db", .listen = {446}, .servers = {at(2, 1), at(0, 1)}, .manual = true, .masquerade = true};
  ServiceSpec log{.name = "log", .listen = {447}, .servers = {at(0, 1), at(1, 1)}, .asks = true, .on_none = NoServer::drop};
  ServiceSpec sip{.name = "sip", .listen = {448}, .servers = {at(0, 0), at(2, 0)}, .penalty_ms = 1500};
  return {.services = {web, mail, db, log, sip}, .names_given = 0};
}

std::string to_toml(const Spec& spec) {
  std::string text = "[hanatd]\nmetrics = \"127.0.0.1:9717\"\n\n";
  std::set<std::string> groups;
  for (const ServiceSpec& service : spec.services) {
    text += to_toml(service);
    if (!service.group.empty()) groups.insert(service.group);
  }
  for (const std::string& group : groups) {
    std::vector<std::string> members;
    for (const ServiceSpec& service : spec.services)
      if (service.group == group) members.push_back(service.name);
    text += fmt::format("[group.{}]\nservices = {}\n", group, list_of(members, itself));
  }
  return text;
}

} // namespace hanat::test::model
