// A rule concerns a service when it names a server of it as the destination.
#include "cli/import/iptables_source.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/import/values.hpp"

namespace hanat::cli::imports {
namespace {

void note_source(Imported& imported, const IptablesRule& rule, std::string why, Loss loss) {
  imported.notes.push_back({rule.place, rule.text, std::move(why), loss});
}

/// "masquerade", "hairpin", an address; empty: hanat has nothing like it.
std::string snat_of(const IptablesRule& rule, const Server& server) {
  const bool own_net = rule.source && rule.source->contains(server.address);
  if (own_net) return "hairpin";
  if (rule.source) return {};
  if (rule.target == "MASQUERADE") return "masquerade";
  const auto address = Address::parse(rule.to);
  return address && is_usable(*address) ? address->text() : std::string{};
}

bool matches(const IptablesRule& rule, const Service& service, const Server& server) {
  if (!rule.destination || !rule.destination->contains(server.address)) return false;
  const auto of_protocol = [&](const Listen& listen) { return rule.protocol.empty() || hanat::to_text(listen.protocol) == rule.protocol; };
  if (std::ranges::none_of(service.listen, of_protocol)) return false;
  if (rule.ports.empty()) return true;
  return std::ranges::any_of(service.listen, [&](const Listen& listen) {
    const Ports& own = server.ports.first != 0 ? server.ports : listen.ports;
    return of_protocol(listen) &&
           std::ranges::any_of(rule.ports, [&](const Ports& ports) { return ports.first <= own.first && own.last <= ports.last; });
  });
}

/// The first rule that concerns a server decides; returns whether it concerns one.
bool apply_rule(const IptablesRule& rule, Imported& imported) {
  bool used = false;
  for (Service& service : imported.services)
    for (Server& server : service.servers) {
      if (!matches(rule, service, server)) continue;
      used = true;
      const std::string snat = rule.other.empty() ? snat_of(rule, server) : std::string{};
      if (snat.empty())
        service.notes.push_back(
            {rule.place, rule.text,
             "some clients got another source address, and hanat has snat for all clients of a server or for those in its "
             "own network (\"hairpin\"): write snat = \"masquerade\" if the server needs it; otherwise keep the rule in iptables",
             Loss::lost});
      else if (server.snat.empty())
        server.snat = snat;
    }
  return used;
}

/// One for all servers of a service is a key of the service.
void lift(Service& service) {
  const bool alike = !service.servers.empty() && std::ranges::all_of(service.servers, [&](const Server& server) {
    return server.snat == service.servers.front().snat;
  });
  if (!alike) return;
  service.snat = service.servers.front().snat;
  for (Server& server : service.servers) server.snat.clear();
}

} // namespace

void apply_source_nat(const std::vector<IptablesRule>& rules, Imported& imported) {
  for (const IptablesRule& rule : rules) {
    if (rule.target != "SNAT" && rule.target != "MASQUERADE") {
      note_source(imported, rule, "hanat has nothing like it in POSTROUTING: keep the rule in iptables", Loss::needless);
      continue;
    }
    if (apply_rule(rule, imported)) continue;
    if (rule.destination)
      note_source(imported, rule, "it concerns no server of a service: keep it in iptables", Loss::needless);
    else
      note_source(
          imported, rule,
          "this is the way out for the networks behind this gateway, not for a service: keep it in iptables. If it was meant for the "
          "servers, write snat = \"masquerade\" into their services",
          Loss::needless);
  }
  for (Service& service : imported.services) lift(service);
}

} // namespace hanat::cli::imports
