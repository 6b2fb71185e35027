// haproxy, keepalived, ipvsadm, nft, conntrack, systemctl and pcs have these.
#include "cli/other_tools.hpp"

#include <algorithm>

namespace hanat::cli {
namespace {

struct Hint {
  std::string_view word, command;
};
constexpr Hint hints[] = {
    {"maintenance", "hanatctl disable SERVER, and hanatctl enable SERVER afterwards"},
    {"maint", "hanatctl disable SERVER, and hanatctl enable SERVER afterwards"},
    {"standby", "hanatctl disable SERVER, and hanatctl enable SERVER afterwards"},
    {"drain", "hanatctl disable SERVER --drain 10m --wait"},
    {"down", "hanatctl disable SERVER"},
    {"up", "hanatctl enable SERVER"},
    {"ready", "hanatctl enable SERVER"},
    {"unstandby", "hanatctl enable SERVER"},
    {"failover", "hanatctl force-backup SERVICE, and hanatctl auto SERVICE to end it"},
    {"rehearse", "hanatctl drill SERVICE"},
    {"switch", "hanatctl force-backup SERVICE, and hanatctl auto SERVICE to end it"},
    {"switchover", "hanatctl force-backup SERVICE, and hanatctl auto SERVICE to end it"},
    {"move", "hanatctl force-backup SERVICE, and hanatctl auto SERVICE to end it"},
    {"failback", "hanatctl auto SERVICE after an override, or hanatctl force-primary SERVICE"},
    {"switchback", "hanatctl auto SERVICE after an override, or hanatctl force-primary SERVICE"},
    {"clear", "hanatctl auto SERVICE ends an override, hanatctl enable SERVER lets a server back"},
    {"show", "hanatctl status"},
    {"list", "hanatctl status --all"},
    {"ls", "hanatctl status"},
    {"info", "hanatctl status"},
    {"state", "hanatctl status"},
    {"health", "hanatctl status"},
    {"servers", "hanatctl status --all"},
    {"backends", "hanatctl status --all"},
    {"stat", "hanatctl status, or hanatctl metrics"},
    {"stats", "hanatctl status, or hanatctl metrics"},
    {"monitor", "hanatctl history --follow"},
    {"watch", "hanatctl top, or hanatctl status --watch"},
    {"log", "hanatctl history"},
    {"logs", "hanatctl history"},
    {"journal", "hanatctl history, or journalctl -u hanatd"},
    {"explain", "hanatctl why SERVICE"},
    {"diff", "hanatctl plan"},
    {"dry-run", "hanatctl plan"},
    {"validate", "hanatctl check"},
    {"verify", "hanatctl check"},
    {"configtest", "hanatctl check"},
    {"test", "hanatctl check for the configuration, hanatctl probe SERVICE for the servers"},
    {"ping", "hanatctl probe SERVICE"},
    {"flows", "hanatctl connections SERVICE"},
    {"sessions", "hanatctl connections SERVICE"},
    {"debug", "hanatctl doctor"},
    {"diagnose", "hanatctl doctor"},
    {"trace", "hanatctl doctor"},
    {"convert", "hanatctl import keepalived, haproxy or iptables"},
    {"migrate", "hanatctl import keepalived, haproxy or iptables"},
    {"start", "systemctl start hanatd"},
    {"stop", "systemctl stop hanatd"},
    {"restart", "hanatctl reload for a new configuration, systemctl restart hanatd for a new version"},
};

} // namespace

std::string_view hint_for(std::string_view word) {
  const auto* const found = std::ranges::find(hints, word, &Hint::word);
  return found == std::ranges::end(hints) ? std::string_view{} : found->command;
}

} // namespace hanat::cli
