// The traps in which a probe passes and clients hang, in the order in which a packet meets them.
#include "daemon/doctor/host_checks.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "nat/marks.hpp"

namespace hanat {
namespace {

// Where a setting lasts. The remedy itself mends the running system.
constexpr const char* permanent = "to keep it: a file in /etc/sysctl.d";
constexpr double nearly_full = 0.9;

Finding finding(Severity severity, const char* code, const CheckedPath& path, std::string what, std::string remedy) {
  return {.severity = severity, .code = code, .service = path.service, .what = std::move(what), .remedy = std::move(remedy), .seen_by = {}};
}
/// What a packet of this client showed.
Finding shown(Severity severity, const char* code, const CheckedPath& path, std::string what, std::string remedy) {
  Finding result = finding(severity, code, path, std::move(what), std::move(remedy));
  result.seen_by = path.seen_by;
  result.witness = path.own_client ? Witness::own_client : Witness::real_client;
  return result;
}
/// It says nothing about other clients.
Finding of_client(Finding finding) {
  finding.witness = Witness::real_client;
  finding.client_only = true;
  return finding;
}
/// A setting of the whole machine.
Finding setting(Severity severity, const char* code, std::string what, const std::string& name, const std::string& value) {
  return {.severity = severity,
          .code = code,
          .service = {},
          .what = std::move(what),
          .remedy = fmt::format("sysctl -w {}={}   ({})", name, value, permanent),
          .seen_by = {}};
}

bool is_ipv4(const CheckedPath& path) { return path.vip.address.family() == Family::ipv4; }
std::string name_of(const HostFacts& host, unsigned index) {
  const InterfaceFacts* const link = host.find(index);
  return link == nullptr ? fmt::format("interface {}", index) : link->name;
}
bool is_strict(const HostFacts& host, const InterfaceFacts& link) { return std::max(host.rp_filter_all, link.rp_filter) == 1; }

/// A host that forwards no longer heeds router advertisements where accept_ra is 1.
Finding ipv6_forwarding(const HostFacts& host) {
  Finding off = setting(Severity::problem, "ipv6-forward-off", "net.ipv6.conf.all.forwarding is 0: no IPv6 packet is forwarded",
                        "net.ipv6.conf.all.forwarding", "1");
  const auto advertised = std::ranges::find_if(host.interfaces, &InterfaceFacts::routes_by_ra);
  if (advertised != host.interfaces.end())
    off.remedy =
        fmt::format("sysctl -w net.ipv6.conf.{0}.accept_ra=2 net.ipv6.conf.all.forwarding=1   (a router loses what {0} learns from "
                    "router advertisements unless accept_ra is 2; {1})",
                    advertised->name, permanent);
  return off;
}

/// No packet of this family is forwarded; nullopt: some are.
std::optional<Finding> forwarding_off(const HostFacts& host, Family family) {
  if (family == Family::ipv6) return host.ip6_forward == false ? std::optional{ipv6_forwarding(host)} : std::nullopt;
  const auto forwards = [](const InterfaceFacts& link) {
    return link.name != "lo" && link.forwarding && !link.name.starts_with(nat::own_link_prefix);
  };
  if (host.ip_forward || std::ranges::any_of(host.interfaces, forwards)) return std::nullopt;
  return setting(Severity::problem, "ip-forward-off", "net.ipv4.ip_forward is 0: no IPv4 packet is forwarded", "net.ipv4.ip_forward", "1");
}

void check_forwarding(const HostFacts& host, const CheckedPath& path, std::vector<Finding>& all) {
  if (path.path.to_server.local) return; // a server on this machine needs none
  if (auto off = forwarding_off(host, path.vip.address.family())) {
    all.push_back(*std::move(off));
    return;
  }
  if (!is_ipv4(path)) return;
  const auto complain_of = [&](unsigned index, Severity severity, const char* whose) {
    const InterfaceFacts* const link = host.find(index);
    if (link == nullptr || link->forwarding || link->name == "lo") return;
    all.push_back(
        setting(severity, "interface-forward-off",
                fmt::format("net.ipv4.conf.{0}.forwarding is 0: what comes in by {0}, as {1} do, is not forwarded", link->name, whose),
                fmt::format("net.ipv4.conf.{}.forwarding", link->name), "1"));
  };
  complain_of(path.path.to_server.interface, Severity::problem, fmt::format("replies of {}", path.service).c_str());
  if (!path.own_client) complain_of(path.path.to_client.interface, Severity::problem, "this client's packets");
  for (const InterfaceFacts& link : host.interfaces)
    if (link.up && link.index != path.path.to_server.interface && link.name != "lo" && !link.nets.empty() && link.master == 0)
      if (path.own_client || link.index != path.path.to_client.interface) complain_of(link.index, Severity::warning, "clients may");
}

void check_conntrack(const HostFacts& before, const HostFacts& after, std::vector<Finding>& all) {
  if (after.conntrack_max == 0) return;
  const bool nearly = static_cast<double>(after.conntrack_count) >= nearly_full * static_cast<double>(after.conntrack_max);
  // Drops alone are no sign: two packets of a new flow that come at once are counted, too.
  const bool full = after.conntrack_count >= after.conntrack_max || (nearly && after.conntrack_drops > before.conntrack_drops);
  if (!full && !nearly) return;
  all.push_back(setting(full ? Severity::problem : Severity::warning, full ? "conntrack-full" : "conntrack-nearly-full",
                        fmt::format("conntrack has {} entries of at most {}: {}", after.conntrack_count, after.conntrack_max,
                                    full ? "new connections are dropped" : "behind that new connections are dropped"),
                        "net.netfilter.nf_conntrack_max", std::to_string(after.conntrack_max * 4)));
}

void check_listen_address(const HostFacts& host, const CheckedPath& path, std::vector<Finding>& all) {
  const InterfaceFacts* const link = host.on_link(path.vip.address);
  if (link == nullptr || host.owner_of(path.vip.address) != nullptr || path.path.to_vip.local || path.path.proxied) return;
  if (host.has_vrrp || !path.path.read) return; // on a standby the address is elsewhere
  const std::string address = path.vip.address.text();
  if (path.path.vip == Neighbour::answers) {
    all.push_back(finding(
        Severity::note, "listen-address-elsewhere", path,
        fmt::format("another machine on {} answers for {}: this gateway is on standby, or the address is there twice", link->name, address),
        fmt::format("ip neighbour show {}   (which one)", address)));
    return;
  }
  all.push_back(finding(Severity::warning, "listen-address-unowned", path,
                        fmt::format("{} is in the net of {} and no interface has it: nobody answers {} for it", address, link->name,
                                    is_ipv4(path) ? "ARP" : "neighbour discovery"),
                        fmt::format("ip address add {}/{} dev {}   (to keep it: the network configuration of {})", address,
                                    is_ipv4(path) ? 32 : 128, link->name, link->name)));
}

/// The interface in whose net the server is is off, or nothing is at its other end. Its routes are gone then, or lead elsewhere.
std::optional<Finding> link_down(const HostFacts& host, const CheckedServer& server) {
  const InterfaceFacts* const link = host.on_link(server.endpoint.address);
  if (link == nullptr || (link->up && link->running)) return std::nullopt;
  const std::string whom = server.role.empty() ? to_text(server.endpoint) : fmt::format("{} ({})", server.role, to_text(server.endpoint));
  Finding found{.severity = Severity::problem, .code = "link-down", .service = server.service, .what = {}, .remedy = {}, .seen_by = {}};
  found.what = link->up ? fmt::format("{} has no carrier, and {} is in its net: nothing reaches it", link->name, whom)
                        : fmt::format("{} is down, and {} is in its net: nothing reaches it", link->name, whom);
  found.remedy = link->up ? fmt::format("ip -s link show {}   (its cable, the switch port, the other end)", link->name)
                          : fmt::format("ip link set {} up", link->name);
  return found;
}

/// Nothing of this machine reaches the server.
std::optional<Finding> unreachable(const HostFacts& host, const CheckedServer& server, const RouteFacts& route) {
  if (auto down = link_down(host, server)) return down;
  if (route.error == 0) return std::nullopt;
  const std::string address = server.endpoint.address.text();
  return Finding{
      .severity = Severity::problem,
      .code = "no-route-to-server",
      .service = server.service,
      .what =
          fmt::format("there is no route to {}{}: {}", server.role.empty() ? "" : server.role + " ", address, std::strerror(route.error)),
      .remedy = fmt::format("ip {}route add {} via ROUTER", server.endpoint.address.family() == Family::ipv4 ? "" : "-6 ", address),
      .seen_by = {}};
}

void check_routes(const HostFacts& host, const CheckedPath& path, std::vector<Finding>& all) {
  if (!path.path.read) return;
  if (path.server)
    if (auto found = unreachable(host, {.service = path.service, .role = {}, .endpoint = *path.server}, path.path.to_server))
      all.push_back(*std::move(found));
  if (!path.own_client && path.path.to_client.error != 0)
    all.push_back(of_client(finding(Severity::problem, "no-route-to-client", path,
                                    fmt::format("there is no route back to the client {}", path.client.address.text()),
                                    fmt::format("ip route add {} via ROUTER", path.client.address.text()))));
  if (path.snat.kind == nat::SnatKind::address && path.snat.address.family() == path.vip.address.family() && !host.has_vrrp &&
      path.path.read && path.path.snat != Neighbour::answers && host.owner_of(path.snat.address) == nullptr &&
      host.on_link(path.snat.address) != nullptr)
    all.push_back(finding(Severity::warning, "snat-address-unowned", path,
                          fmt::format("servers reply to {}, the snat address, and no interface has it", path.snat.address.text()),
                          fmt::format("ip address add {}/{} dev {}", path.snat.address.text(), is_ipv4(path) ? 32 : 128,
                                      host.on_link(path.snat.address)->name)));
}

/// Interfaces whose strict rp_filter drops what comes in by them, although the route to it is by another.
std::string strict_besides(const HostFacts& host, unsigned interface) {
  std::string names;
  for (const InterfaceFacts& link : host.interfaces)
    if (link.name != "lo" && link.up && link.index != interface && !link.name.starts_with(nat::own_link_prefix) && is_strict(host, link))
      names += (names.empty() ? "" : ", ") + link.name;
  return names;
}

/// A client's own packets may come in by another interface than the route back to it names; by which one is not known here.
void check_client_filter(const HostFacts& before, const HostFacts& after, const CheckedPath& path, std::vector<Finding>& all) {
  if (path.own_client || !is_ipv4(path) || after.rp_filter_drops <= before.rp_filter_drops) return;
  const std::string strict = strict_besides(after, path.path.to_client.interface);
  if (strict.empty()) return;
  Finding result = setting(Severity::warning, "rp-filter",
                           fmt::format("a strict rp_filter dropped {} packets meanwhile, and the client's may be among them (by {})",
                                       after.rp_filter_drops - before.rp_filter_drops, strict),
                           fmt::format("net.ipv4.conf.{}.rp_filter", strict.substr(0, strict.find(','))), "2");
  result.service = path.service;
  result.seen_by = path.seen_by;
  result.witness = Witness::real_client;
  all.push_back(std::move(result));
}

/// The server and the client share a link, and the server answers its neighbour directly.
void check_hairpin(const HostFacts& host, const CheckedPath& path, std::vector<Finding>& all) {
  if (path.own_client || !path.server || path.snat.kind != nat::SnatKind::none) return;
  const InterfaceFacts* const link = host.on_link(path.client.address);
  if (link == nullptr || link != host.on_link(path.server->address) || link->index != path.path.to_server.interface) return;
  all.push_back(of_client(
      finding(Severity::problem, "hairpin", path,
              fmt::format("the client {} is in the server's own net: the server answers it past this gateway", path.client.address.text()),
              fmt::format("snat = \"hairpin\" in [service.{}], then hanatctl reload", path.service))));
}

void check_bridge(const HostFacts& host, const CheckedPath& path, std::vector<Finding>& all) {
  if (path.snat.kind != nat::SnatKind::hairpin && path.snat.kind != nat::SnatKind::masquerade) return;
  const InterfaceFacts* const link = host.find(path.path.to_server.interface);
  if (link == nullptr || !link->bridge || !(is_ipv4(path) ? host.bridge_nf_ipv4 : host.bridge_nf_ipv6)) return;
  const auto bars = [&](const InterfaceFacts& port) { return port.master == link->index && !port.hairpin; };
  if (std::ranges::none_of(host.interfaces, bars)) return;
  const char* const name = is_ipv4(path) ? "net.bridge.bridge-nf-call-iptables" : "net.bridge.bridge-nf-call-ip6tables";
  Finding result = setting(
      Severity::warning, "bridge-nf",
      fmt::format("{} is 1 and the server is on the bridge {}: a server that calls its own service gets no reply", name, link->name), name,
      "0");
  result.remedy = fmt::format("sysctl -w {}=0   (or: bridge link set dev PORT hairpin on)", name);
  all.push_back(std::move(result));
}

/// The gateway's own address in the server's net, which the server has to route by.
std::string gateway_for(const HostFacts& host, const CheckedPath& path) {
  if (const InterfaceFacts* const link = host.find(path.path.to_server.interface))
    for (const auto& [address, bits] : link->nets)
      if (address.family() == path.vip.address.family() && !address.is_link_local()) return address.text();
  return "THIS_GATEWAY";
}

Finding no_return(const HostFacts& host, const CheckedPath& path) {
  const std::string server = path.server ? to_text(*path.server) : "the server";
  const std::string left_by = path.result ? path.result->left_by : std::string{};
  const std::string left = left_by.empty() ? std::string{"the server's interface"} : left_by;
  if (path.snat.kind != nat::SnatKind::none && path.snat.kind != nat::SnatKind::hairpin)
    return shown(Severity::problem, "server-drops-clients", path,
                 fmt::format("{} gets what clients send (by {}) and does not reply, though it replies to probes", server, left),
                 fmt::format("on the server: look for a rule that drops {}   (nft list ruleset; iptables -S)", to_text(path.vip.protocol)));
  if (path.server_pings)
    return shown(Severity::problem, "server-drops-clients", path,
                 fmt::format("{} answers pings of {} and not its connections: it drops clients", server, path.client.address.text()),
                 "on the server: let clients in   (nft list ruleset; iptables -S)");
  // A strict filter drops even the ARP request for where to send a reply, and counts that nowhere.
  const std::string strict = is_ipv4(path) ? strict_besides(host, path.path.to_server.interface) : std::string{};
  const std::string strict_too = strict.empty() ? "" : fmt::format("; by {} they could not, rp_filter is strict there", strict);
  return shown(Severity::problem, "no-return-route", path,
               fmt::format("{} gets what clients send (by {}), and its replies do not come back here{}", server, left, strict_too),
               fmt::format("on the server: ip {}route add CLIENTS_NET via {}   (or snat = \"masquerade\" here)", is_ipv4(path) ? "" : "-6 ",
                           gateway_for(host, path)));
}

/// The reply reached this machine and not the client.
Finding lost_here(const HostFacts& before, const HostFacts& after, const CheckedPath& path) {
  const std::string back = path.result ? path.result->back_by : std::string{};
  const InterfaceFacts* const link = after.find(back);
  if (link != nullptr && is_ipv4(path) && is_strict(after, *link) &&
      (after.rp_filter_drops > before.rp_filter_drops || link->index != path.path.to_server.interface)) {
    Finding result = setting(Severity::problem, "rp-filter",
                             fmt::format("replies of {} come in by {}, the route to it is by {}, and rp_filter of {} is strict",
                                         path.server ? path.server->address.text() : "the server", back,
                                         name_of(after, path.path.to_server.interface), back),
                             fmt::format("net.ipv4.conf.{}.rp_filter", back), "2");
    result.service = path.service;
    result.seen_by = path.seen_by;
    result.witness = Witness::own_client; // only its packets are watched
    return result;
  }
  return shown(Severity::problem, "reply-lost", path,
               fmt::format("replies of the server come in by {} and do not get out again: something here drops them", back),
               "nft list ruleset   (rules for forwarded packets)");
}

} // namespace

std::optional<Finding> check_other_server(const HostFacts& host, const CheckedServer& server, const RouteFacts& route) {
  std::optional<Finding> found = unreachable(host, server, route);
  if (found) found->severity = Severity::warning;
  return found;
}

std::vector<Finding> check_forwarding(const HostFacts& host, const std::vector<Address>& servers) {
  std::vector<Finding> all;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto is_elsewhere = [&](const Address& server) {
      return server.family() == family && !server.is_loopback() && host.owner_of(server) == nullptr;
    };
    if (auto off = std::ranges::any_of(servers, is_elsewhere) ? forwarding_off(host, family) : std::nullopt) all.push_back(*std::move(off));
  }
  return all;
}

std::vector<Finding> check_settings(const HostFacts& before, const HostFacts& after, const CheckedPath& path) {
  std::vector<Finding> all;
  check_forwarding(after, path, all);
  check_conntrack(before, after, all);
  check_listen_address(after, path, all);
  check_routes(after, path, all);
  check_client_filter(before, after, path, all);
  check_hairpin(after, path, all);
  check_bridge(after, path, all);
  return all;
}

std::vector<Finding> check_flow(const HostFacts& before, const HostFacts& after, const CheckedPath& path) {
  std::vector<Finding> all;
  if (!path.result || path.culprit_known) return all;
  const FlowResult& result = *path.result;
  const std::string server = path.server ? to_text(*path.server) : std::string{"the server"};
  switch (result.outcome) {
  case FlowOutcome::answered:
  case FlowOutcome::not_sent: return all;
  case FlowOutcome::refused:
    all.push_back(shown(Severity::problem, "clients-refused", path,
                        fmt::format("{} is refused to clients though probes of {} pass", to_text(path.vip), server),
                        fmt::format("on the server: see what listens on its port and for whom   (ss -ltn)")));
    return all;
  case FlowOutcome::unreachable: {
    const ClientReply error = result.error.value_or(ClientReply{});
    all.push_back(shown(Severity::problem, "icmp-unreachable", path,
                        fmt::format("{} says \"unreachable\" (ICMP type {}, code {})", error.reporter.text(), error.type, error.code),
                        fmt::format("there: ip route get {}; nft list ruleset", path.server ? path.server->address.text() : "SERVER")));
    return all;
  }
  case FlowOutcome::silent: break;
  }
  if (!result.back_by.empty())
    all.push_back(lost_here(before, after, path));
  else if (!result.left_by.empty() || path.vip.protocol == Protocol::udp)
    all.push_back(no_return(after, path));
  else if (path.path.server == Neighbour::failed)
    all.push_back(shown(Severity::problem, "server-no-neighbour", path,
                        fmt::format("{} does not answer {} on {}",
                                    path.path.to_server.via.value_or(path.server ? path.server->address : Address{}).text(),
                                    is_ipv4(path) ? "ARP" : "neighbour discovery", name_of(after, path.path.to_server.interface)),
                        "check its cable, VLAN and address"));
  else
    all.push_back(shown(Severity::problem, "not-forwarded", path,
                        fmt::format("packets for {} do not leave this machine: something here drops them", to_text(path.vip)),
                        "nft list ruleset   (rules for forwarded packets)"));
  return all;
}

} // namespace hanat
