// Each virtual_server is a service; VRRP stays with keepalived.
#include "cli/import/keepalived.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/import/keepalived_alerts.hpp"
#include "cli/import/keepalived_blocks.hpp"
#include "cli/import/keepalived_checks.hpp"
#include "cli/import/values.hpp"

namespace hanat::cli::imports {
namespace {

constexpr std::string_view one_target =
    "a service has one target at a time, so there is nothing to choose by: every client reaches the same server";
constexpr std::string_view of_vrrp = "it stays in keepalived, which goes on moving the addresses";

struct KeptLine {
  std::string_view name, why;
  Loss loss;
};
// Of a virtual server, beside what is read.
constexpr KeptLine lines_of_a_server[] = {
    {"lb_algo", one_target, Loss::needless},
    {"lvs_sched", one_target, Loss::needless},
    {"persistence_timeout", one_target, Loss::needless},
    {"persistence_granularity", one_target, Loss::needless},
    {"persistence_engine", one_target, Loss::needless},
    {"hashed", one_target, Loss::needless},
    {"flag-1", one_target, Loss::needless},
    {"flag-2", one_target, Loss::needless},
    {"flag-3", one_target, Loss::needless},
    {"ops", one_target, Loss::needless},
    {"alpha", "hanat believes no server before its first probe", Loss::needless},
    {"omega", "what is to happen when hanatd stops: on_stop in [hanatd]", Loss::needless},
    {"inhibit_on_failure", "hanat keeps or ends the connections of a server that failed as on_failover says", Loss::needless},
    {"hysteresis", "hanat needs one server that is up: write up = { passes = 2 }, or more, to keep it from moving to and fro", Loss::lost},
    {"ha_suspend", "for a gateway of a pair that is standby, hanat touches nothing anyway ([pair])", Loss::needless},
    {"sorry_server_inhibit", "hanat has no weights: a sorry server is the last backup", Loss::needless},
    {"sorry_server_lvs_method", "hanat translates: the sorry server is reached as the others are", Loss::needless},
    {"weight", "hanat has no weights: the order of the servers says who is preferred", Loss::needless},
    {"uthreshold", "hanat does not limit connections: let the server do it; probes can say that a server is full (full in hanat.toml(5))",
     Loss::lost},
    {"lthreshold", "hanat does not limit connections: let the server do it; probes can say that a server is full (full in hanat.toml(5))",
     Loss::lost},
    {"warmup", "hanat spreads its first probes by itself", Loss::needless},
    {"delay_loop", "", Loss::hint},
    {"connect_timeout", "", Loss::hint},
    {"retry", "", Loss::hint},
    {"delay_before_retry", "", Loss::hint},
    {"protocol", "", Loss::hint},
    {"lb_kind", "", Loss::hint},
    {"lvs_method", "", Loss::hint},
    {"quorum", "", Loss::hint},
    {"virtualhost", "", Loss::hint},
    {"real_server", "", Loss::hint},
    {"sorry_server", "", Loss::hint},
};

/// "10.0.0.1", "10.0.0.1-20" (the last number up to 20), of a virtual_server_group.
std::vector<Address> group_addresses(const std::string& text) {
  const auto dash = text.find('-');
  const auto first = Address::parse(text.substr(0, dash));
  if (!first || dash == std::string::npos) return first ? std::vector{*first} : std::vector<Address>{};
  const std::string whole = first->text();
  const auto dot = whole.rfind('.');
  const auto low = dot == std::string::npos ? std::nullopt : whole_number(whole.substr(dot + 1), 255);
  const auto high = whole_number(text.substr(dash + 1), 255);
  std::vector<Address> addresses;
  for (std::uint64_t last = low.value_or(1); low && high && last <= *high; ++last)
    if (const auto address = Address::parse(fmt::format("{}.{}", whole.substr(0, dot), last))) addresses.push_back(*address);
  return addresses;
}

class VirtualServer {
public:
  VirtualServer(const Block& block, const std::vector<Block>& all, Alerts& alerts) : block_{block}, all_{all}, alerts_{alerts} {}

  Service run() {
    service_.place = block_.place;
    read_protocol();
    read_listen();
    if (service_.name.empty()) service_.name = service_name(fmt::format("{}-{}", hanat::to_text(protocol_), block_.argument(1)));
    defaults_.interval = seconds_of(block_.value("delay_loop"));
    defaults_.timeout = seconds_of(block_.value("connect_timeout"));
    defaults_.retry_delay = seconds_of(block_.value("delay_before_retry"));
    defaults_.retries = retries_of(block_.value("retry"));
    defaults_.virtualhost = block_.value("virtualhost");
    for (const Block& child : block_.children) {
      if (child.argument(0) == "real_server") add_real_server(child);
      note_line(child);
    }
    read_method();
    read_quorum();
    add_sorry_server();
    return std::move(service_);
  }

private:
  void lose(const Block& block, std::string why, Loss loss = Loss::lost) {
    service_.notes.push_back({block.place, block.text(), std::move(why), loss});
  }

  void note_line(const Block& line) {
    if (auto note = alerts_.of_server(line)) return service_.notes.push_back(std::move(*note));
    const auto* const found = std::ranges::find(lines_of_a_server, line.argument(0), &KeptLine::name);
    if (found == std::ranges::end(lines_of_a_server)) {
      if (!line.braces || line.argument(0) != "real_server") lose(line, "hanat has nothing like it: see whether the service needs it");
    } else if (!found->why.empty()) {
      lose(line, std::string{found->why}, found->loss);
    }
  }

  void read_protocol() {
    std::string text = block_.value("protocol");
    std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (const auto protocol = parse_protocol(text)) protocol_ = *protocol;
  }

  void read_listen() {
    const std::string& first = block_.argument(1);
    if (first == "fwmark")
      return lose(block_,
                  "it takes what iptables marks, and hanat takes addresses and ports: write those that the rules with this mark match");
    if (first == "group") return read_group(block_.argument(2));
    const auto address = Address::parse(first);
    if (!address) return lose(block_, "it has no address that hanat could read: write listen by hand");
    add_listener(*address, block_.argument(2), block_);
  }

  void add_listener(const Address& address, const std::string& port, const Block& at) {
    const bool all = port.empty() || port == "0";
    const auto ports = all ? std::optional{Ports{.first = 1, .last = UINT16_MAX}} : ports_of(port, '-');
    if (!ports) return lose(at, "it has no port that hanat could read: write listen by hand");
    if (service_.name.empty())
      service_.name = service_name(fmt::format("{}-{}-{}", hanat::to_text(protocol_), address.text(), all ? std::string{"all"} : port));
    service_.listen.push_back({.address = address, .protocol = protocol_, .ports = *ports});
  }

  void read_group(const std::string& name) {
    service_.name = service_name(name);
    for (const Block& group : all_) {
      if (group.argument(0) != "virtual_server_group" || group.argument(1) != name) continue;
      for (const Block& member : group.children) {
        if (member.argument(0) == "fwmark") {
          lose(member,
               "it takes what iptables marks, and hanat takes addresses and ports: write those that the rules with this mark match");
          continue;
        }
        const auto addresses = group_addresses(member.argument(0));
        if (addresses.empty()) lose(member, "it has no address that hanat could read: write listen by hand");
        for (const Address& address : addresses) add_listener(address, member.argument(1), member);
      }
      return;
    }
    lose(block_, "there is no virtual_server_group of that name: write listen by hand");
  }

  bool keeps_port(std::uint16_t port) const {
    return std::ranges::all_of(service_.listen,
                               [&](const Listen& listen) { return listen.ports.first == port && listen.ports.last == port; });
  }

  std::optional<Server> server_of(const Block& block) {
    const auto address = Address::parse(block.argument(1));
    if (!address) {
      lose(block, "it has no address that hanat could read: write the server by hand");
      return std::nullopt;
    }
    Server server{.place = block.place, .address = *address, .ports = {}, .probes = {}, .snat = {}};
    const auto port = ports_of(block.argument(2), '-');
    if (port && (service_.listen.empty() || !keeps_port(port->first))) server.ports = *port;
    return server;
  }

  void add_real_server(const Block& block) {
    auto server = server_of(block);
    if (!server) return;
    if (block.value("weight") == "0")
      return lose(block, "with weight 0 it got no clients, so it is left out: write it as a backup, then hanatctl disable SERVICE SERVER");
    ServerChecks checks = read_checks(block, defaults_, service_.notes);
    server->probes = std::move(checks.probes);
    if (checks.fails) service_.fails = std::max(service_.fails.value_or(1), *checks.fails);
    for (const Block& child : block.children) {
      const std::string& name = child.argument(0);
      if (name.ends_with("_CHECK") || name.ends_with("_GET")) continue;
      note_line(child);
    }
    if (!service_.servers.empty())
      lose(block, fmt::format("connections were spread over the servers, which is lost: a service has one target at a time, and this "
                              "server becomes a backup{}",
                              block.value("weight").empty() ? "" : " (its weight decides nothing: put the preferred one first)"));
    service_.servers.push_back(std::move(*server));
  }

  void read_method() {
    const Block* const line = block_.child("lvs_method") != nullptr ? block_.child("lvs_method") : block_.child("lb_kind");
    if (line == nullptr || line->argument(1) == "NAT" || line->argument(1) == "nat") return;
    service_.snat = "masquerade";
    for (Server& server : service_.servers) server.ports = {}; // the packets were not changed
    lose(
        *line,
        line->argument(1) == "TUN"
            ? "the servers got packets in a tunnel and answered clients directly; hanat translates: take the tunnel and the virtual "
              "address "
              "off the servers. With snat = \"masquerade\" they answer the gateway and see its address; where this gateway is on their way "
              "back to the clients, snat = \"none\" shows them the clients'"
            : "the servers answered clients directly; hanat translates, so answers must come back here: with snat = \"masquerade\" they "
              "do, and "
              "the servers see the gateway's address; where this gateway is the servers' default route, snat = \"none\" shows them the "
              "clients'. "
              "Take the virtual address off the servers (lo, arp_ignore)");
  }

  void read_quorum() {
    const Block* const line = block_.child("quorum");
    if (line != nullptr && line->argument(1) != "1")
      lose(*line, "hanat needs one server that is up, and goes on with the last one: see that one server can carry all clients");
  }

  void add_sorry_server() {
    const Block* const line = block_.child("sorry_server");
    if (line == nullptr) return;
    auto server = server_of(*line);
    if (!server) return;
    service_.servers.push_back(std::move(*server));
    service_.notes.push_back({line->place, line->text(),
                              "it is the last backup, and is probed, too: the traffic returns to a better server as soon as one is up",
                              Loss::hint});
  }

  const Block& block_;
  const std::vector<Block>& all_;
  Alerts& alerts_;
  Protocol protocol_ = Protocol::tcp;
  CheckDefaults defaults_;
  Service service_;
};

bool is_listened_on(const Imported& imported, const Address& address) {
  return std::ranges::any_of(imported.services, [&](const Service& service) {
    return std::ranges::any_of(service.listen, [&](const Listen& listen) { return listen.address == address; });
  });
}

/// What [pair] would be by each line of an instance, as "203.0.113.10/24 dev eth0".
std::vector<PairText> pairs_of(const Block& instance, const Imported& imported) {
  std::vector<PairText> pairs;
  for (const std::string_view name : {"virtual_ipaddress", "virtual_ipaddress_excluded"})
    if (const Block* const block = instance.child(name))
      for (const Block& line : block->children) {
        const std::string_view text = line.argument(0);
        const auto address = Address::parse(text.substr(0, text.find('/')));
        if (!address || !is_usable(*address)) continue;
        pairs.push_back({.place = instance.place,
                         .text = instance.text(),
                         .address = *address,
                         .address_text = line.text(),
                         .address_place = line.place,
                         .served = is_listened_on(imported, *address),
                         .refused = {}});
      }
  return pairs;
}

/// The pair: the address of the first instance, best one that a service listens on.
void add_instance(const Block& instance, Imported& imported) {
  const auto say = [&](std::string_view why, Loss loss) {
    imported.notes.push_back({instance.place, instance.text(), std::string{why}, loss});
  };
  std::vector<PairText> pairs = pairs_of(instance, imported);
  if (pairs.empty()) return say("it has no virtual address by which hanatd could know its role: name one in [pair]", Loss::lost);
  const auto served = std::ranges::find_if(pairs, &PairText::served);
  PairText& pair = served == pairs.end() ? pairs.front() : *served;
  if (imported.pair.empty()) {
    imported.pair.push_back(std::move(pair));
    return say(of_vrrp, Loss::needless);
  }
  if (imported.pair.front().address.family() != pair.address.family())
    return say(of_vrrp, Loss::needless); // the other family of the same pair
  say("a gateway of hanat is active or standby as a whole, by the address in [pair]: let all instances move together (vrrp_sync_group)",
      Loss::lost);
}

bool is_of_vrrp(std::string_view name) {
  return name.starts_with("vrrp_") || name.starts_with("static_") || name.starts_with("track_") || name == "interface_up_down_delays" ||
         name == "garp_group" || name == "bfd_instance" || name == "linkbeat_use_polling" || name == "linkbeat_interfaces";
}

void note_block(const Block& block, Imported& imported) {
  const std::string& name = block.argument(0);
  const auto add = [&](std::string_view why, Loss loss) { imported.notes.push_back({block.place, block.text(), std::string{why}, loss}); };
  if (name == "vrrp_instance") return add_instance(block, imported);
  if (is_of_vrrp(name)) return add(of_vrrp, Loss::needless);
  if (name == "global_defs" || name == "net_namespace" || name == "net_namespace_ipvs" || name == "namespace_with_ipsets" ||
      name == "instance" || name == "use_pid_dir" || name == "process_names" || name == "ipvs_process_name" ||
      name == "checker_process_name")
    return add("it concerns keepalived itself, where it stays", Loss::needless);
  if (name == "SSL")
    return add("hanat's probes need no certificate of their own: a server that asks for one is probed by type = \"tcp\"", Loss::lost);
  add("hanat has nothing like it: see whether a service needs it", Loss::lost);
}

} // namespace

Imported parse_keepalived(const SourceText& source, const Includes& includes) {
  Imported imported;
  imported.system = "keepalived";
  const std::vector<Block> blocks = read_blocks(source, includes, imported.notes);
  constexpr std::array known{"virtual_server",  "virtual_server_group", "vrrp_instance",     "vrrp_script",
                             "vrrp_sync_group", "global_defs",          "vrrp_track_process"};
  const bool any =
      std::ranges::any_of(blocks, [&](const Block& block) { return std::ranges::find(known, block.argument(0)) != known.end(); });
  if (!any && !(blocks.empty() && !imported.notes.empty()))
    throw ImportError({.file = source.name, .line = 0},
                      "has neither a virtual_server nor a vrrp_instance, so there is nothing to import: name "
                      "keepalived's configuration");
  Alerts alerts{blocks};
  for (const Block& block : blocks)
    if (block.argument(0) == "virtual_server") imported.services.push_back(VirtualServer{block, blocks, alerts}.run());
  for (const Block& block : blocks)
    if (block.argument(0) == "global_defs" && !imported.services.empty()) alerts.add_global(block, imported.notes);
  for (const Block& block : blocks)
    if (block.argument(0) != "virtual_server" && block.argument(0) != "virtual_server_group") note_block(block, imported);
  return imported;
}

} // namespace hanat::cli::imports
