// From the status of the peer to words.
#include "cli/show_peer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t most_listed = 5; // differences

std::string role_text(const PeerStatus& peer) {
  const std::string role = peer.role.value_or("unknown");
  if (role == "standby") return "is the standby";
  if (role == "active" || role == "settling") return role == "active" ? "is active" : "is active and settles";
  return "has the role " + escaped(role);
}

Notice list_of(const std::string& begin, const std::vector<std::string>& all, std::vector<std::string> remedies) {
  std::string text = begin;
  for (std::size_t index = 0; index < std::min(all.size(), most_listed); ++index) text += (index == 0 ? " " : "; ") + escaped(all[index]);
  if (all.size() > most_listed) text += fmt::format("; and {} more (hanatctl --json status)", all.size() - most_listed);
  return {.text = std::move(text), .remedies = std::move(remedies)};
}

} // namespace

std::string show_peer(const PairStatus& pair) {
  if (!pair.peer) return {};
  const PeerStatus& peer = *pair.peer;
  const std::string address = escaped(peer.address);
  if (!peer.seen_s) return fmt::format("; the other gateway, {}, has not been seen yet", address);
  std::string text = fmt::format("; the other gateway, {}, {}, seen {} ago", address, role_text(peer), duration(*peer.seen_s));
  if (is_lost(peer)) return text;
  if (peer.agrees) text += ", and agrees";
  return text + (peer.lag_ms ? fmt::format(" (followed within {:.1f} ms)", *peer.lag_ms) : "");
}

std::vector<Notice> peer_notices(const PairStatus& pair) {
  std::vector<Notice> all;
  if (pair.conntrackd == "absent")
    all.push_back({.text = "conntrackd does not run: the other gateway knows no new connection of this one",
                   .remedies = {"systemctl restart conntrackd"}});
  if (pair.conntrackd == "behind")
    all.push_back({.text = "conntrackd hangs, or is too slow: the other gateway does not know the newest connections of this one",
                   .remedies = {"systemctl restart conntrackd; if it comes again, a greater NetlinkBufferSize in conntrackd.conf"}});
  if (!pair.peer) return all;
  const PeerStatus& peer = *pair.peer;
  const bool lost = is_lost(peer);
  if (peer.both_active && !lost)
    all.push_back({.trouble = true,
                   .text = fmt::format("both gateways are active, this one and {}: each acts alone, and neither follows the other",
                                       escaped(peer.address)),
                   .remedies = {"look at the link between the gateways, and at keepalived on both"}});
  if (lost)
    all.push_back({.text = fmt::format("the other gateway, {}, does not answer{}{}", escaped(peer.address),
                                       peer.failure ? ": " + escaped(*peer.failure) : "",
                                       pair.role == "standby" ? "; this one keeps to what it was last told" : "; this one acts alone")});
  else if (peer.failure)
    all.push_back(
        {.text = fmt::format("the last question to the other gateway, {}, failed: {}", escaped(peer.address), escaped(*peer.failure))});
  if (!peer.differs.empty())
    all.push_back(list_of("the two gateways differ:", peer.differs, {"write the same services on both, then hanatctl reload"}));
  if (!peer.disagrees.empty() && !lost) all.push_back(list_of("the two gateways disagree:", peer.disagrees, {}));
  return all;
}

std::vector<std::string> peer_causes(const PairStatus& pair) {
  std::vector<std::string> causes;
  if (pair.conntrackd == "absent") causes.emplace_back("conntrackd does not run");
  if (pair.conntrackd == "behind") causes.emplace_back("conntrackd does not keep up");
  if (!pair.peer) return causes;
  const PeerStatus& peer = *pair.peer;
  if (is_lost(peer)) {
    causes.emplace_back("the other gateway does not answer");
    return causes;
  }
  if (peer.both_active) causes.emplace_back("both gateways are active");
  if (!peer.differs.empty()) causes.emplace_back("the two gateways differ");
  if (!peer.disagrees.empty()) causes.emplace_back("the two gateways disagree");
  return causes;
}

} // namespace hanat::cli
