// What it means that a program which a pair needs beside hanatd does not do its work, in words: the status, the journal and the doctor say
// the same. Pure. Not here: finding it out (daemon/pair), the other gateway itself (peer_status).
#pragma once

#include <string>
#include <string_view>

namespace hanat {

/// The gateway on which the program should run.
struct PairSide {
  std::string peer = {}; // the other one's address; empty: this gateway
  bool standby = false;  // that gateway is; otherwise it serves
  bool operator==(const PairSide&) const = default;
};

/// keepalived, or whatever else speaks VRRP, is gone.
std::string keepalived_dead_text(const PairSide& side);
std::string keepalived_remedy(const PairSide& side);

/// `behind`: it runs and does not keep up; otherwise it is gone.
std::string conntrackd_text(bool behind, const PairSide& side);
std::string conntrackd_remedy(bool behind, const PairSide& side);

/// What may keep two active gateways from hearing each other, and the command that shows it.
inline constexpr std::string_view split_text = "they do not hear each other's VRRP";
inline constexpr std::string_view split_remedy =
    "tcpdump -ni any proto 112   (on both: nothing comes from the other one where a firewall drops protocol 112, the networks are apart or "
    "its keepalived is dead; otherwise compare virtual_router_id and authentication)";

/// Where neither gateway is active.
inline constexpr std::string_view idle_remedy =
    "systemctl status keepalived   (on both; and address in [pair] must be one of those in keepalived.conf)";

} // namespace hanat
