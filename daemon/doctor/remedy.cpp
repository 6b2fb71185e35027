// Always the narrowest command: only this virtual endpoint with its protocol and port, only what is translated, only by an accept in front.
#include "daemon/doctor/remedy.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

namespace hanat {
namespace {

std::string port_text(const Vip& vip, char to) {
  return is_range(vip) ? fmt::format("{}{}{}", vip.port, to, vip.last) : fmt::format("{}", vip.port);
}

/// The address and ports by which the chain meets the packet.
struct Side {
  Address address;
  std::string ports; // empty: any
};
Side side_of(const Obstructed& obstructed, char to) {
  if (!obstructed.translated) return {obstructed.vip.address, port_text(obstructed.vip, to)};
  const std::uint16_t port = obstructed.server.port;
  return {obstructed.server.address, port == 0 ? port_text(obstructed.vip, to) : fmt::format("{}", port)};
}

std::string of_iptables(const Obstructed& obstructed) {
  const nat::ChainName& base = obstructed.base;
  const char* command = base.family == nat::TableFamily::ip6 ? "ip6tables" : "iptables";
  if (obstructed.hook == nat::Hook::forward && base.table == "filter")
    return fmt::format("{} -I {} -p {} -m conntrack --ctstate DNAT --ctorigdst {} --ctorigdstport {} -j ACCEPT", command,
                       obstructed.by_docker ? "DOCKER-USER" : base.chain, to_text(obstructed.vip.protocol), obstructed.vip.address.text(),
                       port_text(obstructed.vip, ':'));
  const auto [address, ports] = side_of(obstructed, ':');
  const bool reply = obstructed.reply;
  return fmt::format("{}{} -I {} {} {} -p {} {} {} -j ACCEPT", command, base.table == "filter" ? "" : " -t " + base.table, base.chain,
                     reply ? "-s" : "-d", address.text(), to_text(obstructed.vip.protocol), reply ? "--sport" : "--dport", ports);
}

std::string of_nft(const Obstructed& obstructed) {
  const std::string chain = to_text(obstructed.base);
  const char* family = obstructed.vip.address.family() == Family::ipv4 ? "ip" : "ip6";
  if (obstructed.hook == nat::Hook::forward)
    return fmt::format("nft insert rule {} ct status dnat ct original {} daddr {} meta l4proto {} ct original proto-dst {} accept", chain,
                       family, obstructed.vip.address.text(), to_text(obstructed.vip.protocol), port_text(obstructed.vip, '-'));
  const auto [address, ports] = side_of(obstructed, '-');
  const bool reply = obstructed.reply;
  return fmt::format("nft insert rule {} {} {} {} {} {} {} accept", chain, family, reply ? "saddr" : "daddr", address.text(),
                     to_text(obstructed.vip.protocol), reply ? "sport" : "dport", ports);
}

} // namespace

bool is_of_iptables(const nat::ChainName& chain) {
  constexpr std::array<std::string_view, 5> tables{"filter", "nat", "mangle", "raw", "security"};
  constexpr std::array<std::string_view, 5> chains{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"};
  const bool family = chain.family == nat::TableFamily::ip || chain.family == nat::TableFamily::ip6;
  return family && std::ranges::find(tables, chain.table) != tables.end() && std::ranges::find(chains, chain.chain) != chains.end();
}

std::string rule_name(const nat::ChainName& chain, const nat::ForeignRule& rule) {
  std::string text = fmt::format("{} rule {}", to_text(chain), rule.position);
  if (!rule.comment.empty()) text += fmt::format(" \"{}\"", rule.comment);
  return is_of_iptables(chain) ? text : text + fmt::format(" (handle {})", rule.handle);
}

std::string show_command(const nat::ChainName& chain) {
  if (!is_of_iptables(chain)) return fmt::format("nft -a list chain {}", to_text(chain));
  return fmt::format("{} -t {} -L {} -n -v --line-numbers", chain.family == nat::TableFamily::ip6 ? "ip6tables" : "iptables", chain.table,
                     chain.chain);
}

std::string remedy_for(const Obstructed& obstructed) {
  const nat::TableFamily family = obstructed.base.family;
  if (family == nat::TableFamily::netdev || family == nat::TableFamily::bridge || family == nat::TableFamily::arp)
    return show_command(obstructed.base);
  const auto [address, ports] = side_of({.base = {}, .vip = obstructed.vip, .server = obstructed.server, .translated = true}, ':');
  const bool forward = obstructed.hook == nat::Hook::forward;
  if (forward && obstructed.by_ufw)
    return fmt::format("ufw route allow proto {} to {} port {}", to_text(obstructed.vip.protocol), address.text(), ports);
  if (forward && obstructed.base.table == "firewalld")
    return fmt::format("firewall-cmd --permanent --new-policy=hanat; firewall-cmd --permanent --policy=hanat --add-ingress-zone=ANY "
                       "--add-egress-zone=ANY --add-rich-rule='rule family=\"{}\" destination address=\"{}\" port port=\"{}\" "
                       "protocol=\"{}\" accept'; firewall-cmd --reload",
                       address.family() == Family::ipv4 ? "ipv4" : "ipv6", address.text(),
                       obstructed.server.port == 0 ? port_text(obstructed.vip, '-') : ports, to_text(obstructed.vip.protocol));
  return is_of_iptables(obstructed.base) ? of_iptables(obstructed) : of_nft(obstructed);
}

} // namespace hanat
