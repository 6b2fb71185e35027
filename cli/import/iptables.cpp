// The chains as one list of rules in the order in which a connection meets them; then rules for the same clients become one service.
#include "cli/import/iptables.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "cli/import/iptables_rules.hpp"
#include "cli/import/iptables_source.hpp"
#include "cli/import/iptables_targets.hpp"
#include "cli/import/values.hpp"
#include "daemon/config/parse_values.hpp"

namespace hanat::cli::imports {
namespace {

constexpr std::size_t most_rules = 20'000;
constexpr std::size_t most_visits = 1'000'000; // chains that call each other, each several times
constexpr std::size_t deepest_chain = 16;

/// What both match; nullopt: nothing can match both. Conditions that are lost stand in `other`.
std::optional<IptablesRule> both(const IptablesRule& outer, IptablesRule inner) {
  if (inner.destination && outer.destination) {
    const bool inside = outer.destination->contains(inner.destination->address) && outer.destination->length <= inner.destination->length;
    if (!inside && !inner.destination->contains(outer.destination->address)) return std::nullopt;
    if (!inside) inner.destination = outer.destination;
  } else if (outer.destination) {
    inner.destination = outer.destination;
  }
  if (!inner.protocol.empty() && !outer.protocol.empty() && inner.protocol != outer.protocol) return std::nullopt;
  if (inner.protocol.empty()) inner.protocol = outer.protocol;
  if (inner.ports.empty())
    inner.ports = outer.ports;
  else if (!outer.ports.empty() && inner.ports != outer.ports)
    inner.ports = common_ports(inner.ports, outer.ports);
  if (inner.ports.empty() && !outer.ports.empty()) return std::nullopt;
  if (!inner.source) inner.source = outer.source;
  if (inner.in.empty()) inner.in = outer.in;
  if (inner.out.empty()) inner.out = outer.out;
  if (inner.other.empty()) inner.other = outer.other;
  inner.local = inner.local || outer.local;
  inner.spread = inner.spread || outer.spread;
  return inner;
}

/// Rules with a target that ends the walk, in their order.
class Walk {
public:
  Walk(const IptablesNat& nat, std::vector<Note>& notes) : nat_{nat}, notes_{notes} {}

  std::vector<IptablesRule> run(const std::string& chain) {
    visit(chain, IptablesRule{}, 0);
    return std::move(rules_);
  }

private:
  void visit(const std::string& chain, const IptablesRule& outer, std::size_t depth) {
    const auto found = nat_.chains.find(chain);
    if (found == nat_.chains.end() || depth > deepest_chain) return;
    for (const IptablesRule& rule : found->second) {
      if (rules_.size() >= most_rules || ++visits_ > most_visits) return;
      const auto merged = both(outer, rule);
      if (!merged) continue;
      if (nat_.chains.contains(rule.target)) {
        visit(rule.target, *merged, depth + 1);
        if (rule.goes_to) return note(rule, "-g leaves the chain for good, which hanat does not follow: see that no later rule is meant");
      } else {
        rules_.push_back(*merged);
      }
    }
  }
  void note(const IptablesRule& rule, std::string why) { notes_.push_back({rule.place, rule.text, std::move(why), Loss::lost}); }

  const IptablesNat& nat_;
  std::vector<Note>& notes_;
  std::vector<IptablesRule> rules_;
  std::size_t visits_ = 0;
};

/// What a rule for connections from outside is in hanat: listeners and servers.
class Translation {
public:
  Translation(Imported& imported, const std::vector<Address>& any) : imported_{imported}, any_{any} {}

  void add(const IptablesRule& rule) {
    if (rule.target == "DNAT") return add_dnat(rule);
    if (rule.target == "REDIRECT")
      return note(rule, "it goes to a port of this gateway itself, and hanat translates to other machines: keep the rule in iptables");
    if (rule.target == "NETMAP")
      return note(rule, "hanat has nothing like NETMAP: keep the rule in iptables, or write a service for each address");
    if (rule.target == "RETURN" || rule.target == "ACCEPT") {
      exceptions_.push_back(rule);
      return note(rule,
                  "an exception from the rules behind it, and hanat has none: give these clients an address of their own, or keep the "
                  "rules for them in iptables and the service out of hanat");
    }
    if (rule.target.empty() || rule.target == "LOG" || rule.target == "MARK" || rule.target == "CONNMARK" || rule.target == "NFLOG")
      return note(rule, "it translates nothing: keep it in iptables", Loss::needless);
    note(rule, "hanat does not know this target: keep the rule in iptables");
  }

private:
  void note(const IptablesRule& rule, std::string why, Loss loss = Loss::lost) {
    imported_.notes.push_back({rule.place, rule.text, std::move(why), loss});
  }

  void add_dnat(const IptablesRule& rule) {
    if (!rule.other.empty())
      return note(
          rule, fmt::format("hanat has nothing like \"{}\", and without it the rule would be for more clients: keep the rule in iptables, "
                            "or write the service without it",
                            rule.other));
    if (rule.source)
      return note(rule,
                  "it is for some clients only, and hanat serves all: keep the rule in iptables, or write the service and let FORWARD "
                  "accept these clients alone");
    if (!rule.protocol.empty() && !parse_protocol(rule.protocol))
      return note(rule, "hanat translates TCP, UDP and SCTP: keep the rule in iptables");
    const auto targets = dnat_targets(rule.to);
    if (targets.empty())
      return note(rule, "hanat does not understand where it goes: write the servers by hand, as in primary = \"10.0.0.11:8443\"");
    const std::vector<Listen> listen = listeners(rule, targets.front().address.family());
    if (listen.empty()) return;
    if (rule.ports.size() > 1 && targets.front().ports.first != 0 && rule.ports != std::vector{targets.front().ports})
      return add_each(rule, listen, targets);
    add_service(rule, listen, targets);
  }

  /// Several ports that all go to one port of a server are a service each, because one server has one port for one listener.
  void add_each(const IptablesRule& rule, const std::vector<Listen>& listen, const std::vector<DnatTarget>& targets) {
    for (const Listen& entry : listen) add_service(rule, {entry}, targets);
  }

  std::vector<Listen> listeners(const IptablesRule& rule, Family family) {
    std::vector<Address> addresses;
    std::string interface;
    if (rule.destination && rule.destination->is_host()) {
      addresses.push_back(rule.destination->address);
    } else if (rule.destination) {
      note(rule, "it is for a network of addresses, and a service has single ones: write a service that lists those in use");
      return {};
    } else {
      std::ranges::copy_if(any_, std::back_inserter(addresses), [&](const Address& address) { return address.family() == family; });
      const bool follows = addresses.empty() && is_interface(rule.in);
      if (follows) interface = rule.in;
      if (follows)
        addresses.push_back(Address::unspecified(family));
      else if (addresses.empty())
        note(rule,
             "it is for every address of this gateway, and a service has single ones: run the import again with --address ADDRESS, the "
             "one that clients connect to");
    }
    std::vector<Protocol> protocols;
    if (const auto protocol = parse_protocol(rule.protocol))
      protocols.push_back(*protocol);
    else
      protocols = {Protocol::tcp, Protocol::udp};
    std::vector<Listen> listen;
    const std::vector<Ports> all{{.first = 1, .last = UINT16_MAX}};
    for (const Address& address : addresses)
      for (const Protocol protocol : protocols)
        for (const Ports& ports : rule.ports.empty() ? all : rule.ports)
          listen.push_back({.address = address, .protocol = protocol, .ports = ports, .interface = interface});
    return listen;
  }

  /// "eth0", and not "! eth0" or "eth+".
  static bool is_interface(const std::string& in) {
    const auto parsed = config::parse_interface(in, in);
    return parsed && std::holds_alternative<config::InterfaceName>(*parsed);
  }

  static std::vector<Note> notes_of(const IptablesRule& rule, const std::vector<Listen>& listen, const Fitting& ports) {
    std::vector<Note> notes;
    const auto add_note = [&](std::string why, Loss loss) { notes.push_back({rule.place, rule.text, std::move(why), loss}); };
    if (!listen.front().interface.empty())
      add_note(fmt::format(
                   "it was for whatever came in by {0}; hanat serves what goes to an address of {0}, by whatever interface it comes, and "
                   "follows these addresses",
                   rule.in),
               Loss::hint);
    else if (!rule.in.empty() && !rule.destination)
      add_note(
          fmt::format("it was for clients that come in by {} only; hanat serves this address by whatever interface they come", rule.in),
          Loss::hint);
    else if (!rule.in.empty())
      add_note(
          fmt::format("it was for clients that come in by {} only; hanat serves them by whatever interface they come: if that is too much, "
                      "let FORWARD drop the others",
                      rule.in),
          Loss::lost);
    if (rule.protocol.empty())
      add_note("it was for every protocol; hanat translates TCP, UDP and SCTP, and here TCP and UDP: keep the rule in iptables for others",
               Loss::lost);
    if (!ports.why.empty()) add_note(ports.why, Loss::lost);
    return notes;
  }

  void add_service(const IptablesRule& rule, const std::vector<Listen>& listen, const std::vector<DnatTarget>& targets) {
    Service service{.place = rule.place,
                    .name = name_of(listen.front()),
                    .listen = listen,
                    .servers = {},
                    .snat = {},
                    .snat_why = {},
                    .fails = {},
                    .passes = {},
                    .notes = {},
                    .refused = {}};
    const Fitting ports = fit_ports(listen, targets.front());
    for (const DnatTarget& target : targets)
      service.servers.push_back({.place = rule.place, .address = target.address, .ports = ports.server, .probes = {}, .snat = {}});
    service.notes = notes_of(rule, listen, ports);
    if (targets.size() > 1)
      service.notes.push_back(
          {rule.place, rule.text,
           "connections were spread over several servers, which is lost: a service has one target at a time; the first is the "
           "primary, the others are its backups",
           Loss::lost});
    service.refused = why_guarded(rule);
    if (Service* const same = open_service(listen)) return join(*same, std::move(service), rule);
    if (rule.spread) open_.push_back(imported_.services.size());
    imported_.services.push_back(std::move(service));
  }

  /// Clients that an exception kept away must not reach the server because it is lost. Those of an interface come from within.
  std::string why_guarded(const IptablesRule& rule) const {
    for (const IptablesRule& exception : exceptions_)
      if ((exception.source || !exception.other.empty()) && both(exception, rule))
        return fmt::format(
            "the exception in line {} kept some clients away from it, and hanat serves all: if FORWARD keeps them away, or they may "
            "come, take the # away",
            exception.place.line);
    return {};
  }

  /// A service with the same listeners: a rule before this one has taken some of its connections, or all.
  Service* open_service(const std::vector<Listen>& listen) {
    for (Service& service : imported_.services)
      if (std::ranges::any_of(listen,
                              [&](const Listen& entry) { return std::ranges::find(service.listen, entry) != service.listen.end(); }))
        return &service;
    return nullptr;
  }

  void join(Service& service, Service added, const IptablesRule& rule) {
    const auto index = static_cast<std::size_t>(&service - imported_.services.data());
    const auto open = std::ranges::find(open_, index);
    if (open == open_.end() || service.listen != added.listen) {
      note(rule, "a rule before it has its connections already: remove it, or give it ports of its own");
      return;
    }
    if (!rule.spread) open_.erase(open);
    std::ranges::move(added.servers, std::back_inserter(service.servers));
    std::ranges::move(added.notes, std::back_inserter(service.notes));
    service.notes.push_back(
        {rule.place, rule.text,
         "connections were spread over several servers by statistic, which is lost: a service has one target at a time, "
         "and this server becomes a backup",
         Loss::lost});
  }

  static std::string name_of(const Listen& listen) {
    const std::string address = listen.interface.empty() ? listen.address.text() : listen.interface;
    const bool all = listen.ports.first == 1 && listen.ports.last == UINT16_MAX;
    return service_name(all ? fmt::format("all-{}", address)
                            : fmt::format("{}-{}-{}", hanat::to_text(listen.protocol), address, listen.ports.first));
  }

  Imported& imported_;
  const std::vector<Address>& any_;
  std::vector<IptablesRule> exceptions_;
  std::vector<std::size_t> open_; // services whose last rule took only a part of the connections
};

bool same_servers(const Service& one, const Service& other) {
  return std::ranges::equal(one.servers, other.servers,
                            [](const Server& left, const Server& right) {
                              return left.address == right.address && left.ports == right.ports && left.snat == right.snat;
                            }) &&
         one.snat == other.snat;
}

/// Rules that go to the same server and keep its ports are one service: its ports move together.
void merge(Imported& imported) {
  std::vector<Service> services;
  for (Service& service : imported.services) {
    const auto same = std::ranges::find_if(services, [&](const Service& first) {
      return same_servers(first, service) && first.refused == service.refused && !service.servers.empty() &&
             service.servers.front().ports.first == 0 && first.listen.front().address == service.listen.front().address &&
             first.listen.front().interface == service.listen.front().interface;
    });
    if (same == services.end()) {
      services.push_back(std::move(service));
      continue;
    }
    std::ranges::move(service.listen, std::back_inserter(same->listen));
    std::ranges::move(service.notes, std::back_inserter(same->notes));
  }
  imported.services = std::move(services);
}

void note_output(const IptablesNat& nat, Imported& imported) {
  const auto found = nat.chains.find("OUTPUT");
  if (found == nat.chains.end()) return;
  for (const IptablesRule& rule : found->second)
    imported.notes.push_back(
        {rule.place, rule.text,
         "it is for connections of this gateway itself, which hanat leaves alone: keep the rule in iptables, or let the "
         "programs here connect to the server's own address",
         Loss::lost});
}

} // namespace

Imported parse_iptables(const SourceText& source, const std::vector<Address>& any) {
  const IptablesNat nat = read_iptables(source);
  Imported imported;
  imported.system = "iptables";
  imported.notes = nat.notes;
  Translation translation{imported, any};
  for (const IptablesRule& rule : Walk{nat, imported.notes}.run("PREROUTING")) translation.add(rule);
  apply_source_nat(Walk{nat, imported.notes}.run("POSTROUTING"), imported);
  note_output(nat, imported);
  merge(imported);
  return imported;
}

} // namespace hanat::cli::imports
