// Rulesets in the form in which Docker, ufw and firewalld load them, small, for iptables-restore and nft. Not here: what is found in them.
#pragma once

#include <regex>
#include <string>

namespace hanat::test {

/// One published port of one container. `user` : rules of DOCKER-USER.
inline std::string docker_like(const std::string& user = "") {
  return "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n"
         "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
         "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER\n"
         "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
         "-A DOCKER -i docker0 -j RETURN\n"
         "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\nCOMMIT\n"
         "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n:DOCKER-ISOLATION-STAGE-1 - [0:0]\n"
         ":DOCKER-ISOLATION-STAGE-2 - [0:0]\n:DOCKER-USER - [0:0]\n"
         "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"
         "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -o docker0 -j DOCKER\n"
         "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n-A FORWARD -i docker0 -o docker0 -j ACCEPT\n"
         "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\n"
         "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2\n-A DOCKER-ISOLATION-STAGE-1 -j RETURN\n"
         "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP\n-A DOCKER-ISOLATION-STAGE-2 -j RETURN\n" +
         user + "-A DOCKER-USER -j RETURN\nCOMMIT\n";
}

/// `ufw enable`, routed traffic denied. `user`: what `ufw route allow` adds.
inline std::string ufw_like(const std::string& user = "") {
  return "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:ufw-after-forward - [0:0]\n"
         ":ufw-after-logging-forward - [0:0]\n:ufw-before-forward - [0:0]\n:ufw-before-input - [0:0]\n:ufw-before-logging-forward - [0:0]\n"
         ":ufw-reject-forward - [0:0]\n:ufw-track-forward - [0:0]\n:ufw-user-forward - [0:0]\n"
         "-A INPUT -j ufw-before-input\n-A ufw-before-input -j ACCEPT\n"
         "-A FORWARD -j ufw-before-logging-forward\n-A FORWARD -j ufw-before-forward\n-A FORWARD -j ufw-after-forward\n"
         "-A FORWARD -j ufw-after-logging-forward\n-A FORWARD -j ufw-reject-forward\n-A FORWARD -j ufw-track-forward\n"
         "-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
         "-A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT\n-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT\n"
         "-A ufw-before-forward -j ufw-user-forward\n" +
         user + "COMMIT\n";
}

/// `dnat_passes`: as firewalld does it; false: as somebody might have changed it.
inline std::string firewalld_like(bool dnat_passes = true) {
  return std::string{
             "table inet firewalld {\n"
             "  chain mangle_PREROUTING {\n    type filter hook prerouting priority mangle + 10; policy accept;\n    "
             "jump mangle_PREROUTING_POLICIES\n  }\n  chain mangle_PREROUTING_POLICIES {\n    iifname \"to-client\" return\n  }\n"
             "  chain nat_PREROUTING {\n    type nat hook prerouting priority dstnat + 10; policy accept;\n    "
             "jump nat_PREROUTING_POLICIES\n  }\n  chain nat_PREROUTING_POLICIES {\n    tcp dport 443 dnat ip to 192.0.2.1:443\n  }\n"
             "  chain nat_POSTROUTING {\n    type nat hook postrouting priority srcnat + 10; policy accept;\n  }\n"
             "  chain filter_INPUT {\n    type filter hook input priority filter + 10; policy accept;\n    "
             "ct state { established, related } accept\n    ct status dnat accept\n    iifname \"lo\" accept\n    "
             "ip protocol icmp accept\n    meta l4proto icmpv6 accept\n    reject with icmpx admin-prohibited\n  }\n"
             "  chain filter_FORWARD {\n    type filter hook forward priority filter + 10; policy accept;\n    "
             "ct state { established, related } accept\n"} +
         (dnat_passes ? "    ct status dnat accept\n" : "") +
         "    iifname \"lo\" accept\n    ct state invalid drop\n    ip6 daddr { ::/96, 2002:a00::/24 } reject with icmpv6 "
         "addr-unreachable\n"
         "    jump filter_FORWARD_POLICIES\n    reject with icmpx admin-prohibited\n  }\n"
         "  chain filter_FORWARD_POLICIES {\n    iifname \"docker0\" accept\n  }\n}\n";
}

/// The kernel numbers the rules of a table as they come: "rule 2 (handle 7)".
inline std::string without_handles(const std::string& text) { return std::regex_replace(text, std::regex{R"( \(handle \d+\))"}, ""); }

} // namespace hanat::test
