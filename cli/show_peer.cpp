// From the status of the peer to words.
#include "cli/show_peer.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/api/pair_texts.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t most_listed = 5; // differences

/// Of one that is lost it is not known what it is now.
std::string role_text(const PeerStatus& peer) {
  const std::string role = peer.role.value_or("unknown");
  const char* const is = is_lost(peer) ? "was" : "is";
  if (role == "standby") return fmt::format("{} the standby", is);
  if (role == "active" || role == "settling") return fmt::format("{} active{}", is, role == "active" ? "" : " and settles");
  return fmt::format("{} the role {}", is_lost(peer) ? "had" : "has", escaped(role));
}

/// "2 ms"; what is less than a millisecond is not told apart.
std::string lag_text(double ms) { return ms < 1 ? "1 ms" : fmt::format("{:.0f} ms", ms); }

std::string split_notice(const PeerStatus& peer) {
  return fmt::format("both gateways are active, this one and {}: {}, so each acts alone", escaped(peer.address), split_text);
}

/// This gateway has not got the address, and the other one, as far as is known, neither. Empty: one of them has.
std::string idle_text(const PairStatus& pair) {
  if (!pair.peer) return {};
  const PeerStatus& peer = *pair.peer;
  if (pair.role != "standby") return {};
  const std::string address = escaped(pair.address);
  if (!is_lost(peer)) return peer.none_active ? fmt::format("no gateway is active: neither has {}", address) : "";
  if (pair.keepalived != "absent") return {};
  return fmt::format("nobody may have {}: the other gateway does not answer, and keepalived does not run here", address);
}

void add_programs(const PairStatus& pair, std::vector<Notice>& all) {
  const auto add = [&all](const std::string& conntrackd, const std::string& keepalived, const PairSide& side) {
    if (keepalived == "absent") all.push_back({.text = keepalived_dead_text(side), .remedies = {keepalived_remedy(side)}});
    if (conntrackd == "absent" || conntrackd == "behind")
      all.push_back({.text = conntrackd_text(conntrackd == "behind", side), .remedies = {conntrackd_remedy(conntrackd == "behind", side)}});
  };
  add(pair.conntrackd, pair.keepalived, {.standby = pair.role == "standby"});
  if (pair.peer && !is_lost(*pair.peer))
    add(pair.peer->conntrackd, pair.peer->keepalived, {.peer = escaped(pair.peer->address), .standby = pair.peer->role == "standby"});
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
  if (peer.agrees && !peer.both_active) text += ", and agrees";
  return text + (peer.lag_ms ? fmt::format(" (followed within {})", lag_text(*peer.lag_ms)) : "");
}

std::vector<Notice> peer_notices(const PairStatus& pair) {
  std::vector<Notice> all;
  if (const std::string idle = idle_text(pair); !idle.empty())
    all.push_back({.trouble = true, .text = idle, .remedies = {std::string{idle_remedy}}});
  if (pair.peer && pair.peer->both_active && !is_lost(*pair.peer))
    all.push_back({.trouble = true, .text = split_notice(*pair.peer), .remedies = {std::string{split_remedy}}});
  add_programs(pair, all);
  if (!pair.peer) return all;
  const PeerStatus& peer = *pair.peer;
  const bool lost = is_lost(peer);
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

std::vector<PeerCause> peer_causes(const PairStatus& pair) {
  std::vector<PeerCause> causes;
  const auto add = [&causes](std::string text) { causes.push_back({.critical = false, .text = std::move(text)}); };
  const auto add_states = [&add](const std::string& conntrackd, const std::string& keepalived, const char* where) {
    if (keepalived == "absent") add(fmt::format("keepalived does not run{}", where));
    if (conntrackd == "absent") add(fmt::format("conntrackd does not run{}", where));
    if (conntrackd == "behind") add(fmt::format("conntrackd does not keep up{}", where));
  };
  if (std::string idle = idle_text(pair); !idle.empty()) causes.push_back({.critical = true, .text = std::move(idle)});
  add_states(pair.conntrackd, pair.keepalived, "");
  if (!pair.peer) return causes;
  const PeerStatus& peer = *pair.peer;
  if (is_lost(peer)) {
    add("the other gateway does not answer");
    return causes;
  }
  add_states(peer.conntrackd, peer.keepalived, " on the other gateway");
  if (peer.both_active) add("both gateways are active");
  if (!peer.differs.empty()) add("the two gateways differ");
  if (!peer.disagrees.empty()) add("the two gateways disagree");
  return causes;
}

} // namespace hanat::cli
