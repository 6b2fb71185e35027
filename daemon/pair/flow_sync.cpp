// Reads /proc/net/netlink: sockets, one a line, with their groups, what waits in them and what they lost.
#include "daemon/pair/flow_sync.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netlink.h>

namespace hanat {
namespace {

// One reading falls between two moments of a busy program, and a restart takes about a second.
constexpr int readings_to_judge = 3;
// Whoever lost messages once is likely to lose more: it counts as well again after so many readings without a loss.
constexpr int readings_to_recover = 5;

} // namespace

std::string_view to_text(FlowSync state) {
  switch (state) {
  case FlowSync::unknown: return "unknown";
  case FlowSync::ok: return "ok";
  case FlowSync::absent: return "absent";
  case FlowSync::behind: return "behind";
  }
  return {};
}

std::optional<std::vector<ConntrackListener>> conntrack_listeners_in(std::string_view sockets) {
  // Bits of the groups: 1, 2 and 3 are new, changed and ended entries.
  constexpr unsigned long of_conntrack = NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY;
  std::istringstream lines{std::string{sockets}};
  std::string line;
  if (!std::getline(lines, line)) return std::nullopt; // names of the columns
  std::vector<ConntrackListener> found;
  while (std::getline(lines, line)) {
    std::istringstream words{line};
    std::string socket, port, groups, sent, dump, references;
    int protocol = -1;
    ConntrackListener listener;
    if (words >> socket >> protocol >> port >> groups >> listener.waiting >> sent >> dump >> references >> listener.lost >>
            listener.inode &&
        protocol == NETLINK_NETFILTER && (std::strtoul(groups.c_str(), nullptr, 16) & of_conntrack) == of_conntrack)
      found.push_back(listener);
  }
  return found;
}

std::optional<std::vector<ConntrackListener>> read_conntrack_listeners() {
  std::ifstream from{"/proc/thread-self/net/netlink"};
  return conntrack_listeners_in(std::string{std::istreambuf_iterator<char>{from}, {}});
}

FlowSyncJudge::Listener FlowSyncJudge::next(const Listener& before, const ConntrackListener& now) {
  const bool loses = now.lost > before.last.lost;
  const int well = loses ? 0 : before.well + 1;
  return {.last = now,
          .unread = now.waiting > 0 && now.waiting >= before.last.waiting ? before.unread + 1 : 0,
          .well = well,
          .lost = loses || (before.lost && well < readings_to_recover)};
}

FlowSync FlowSyncJudge::take(const std::optional<std::vector<ConntrackListener>>& listeners) {
  if (!listeners) return state_;
  std::map<std::uint64_t, Listener> now;
  for (const ConntrackListener& listener : *listeners) {
    const auto known = listeners_.find(listener.inode);
    now[listener.inode] = known == listeners_.end() ? Listener{.last = listener} : next(known->second, listener);
  }
  listeners_ = std::move(now);
  missing_ = listeners_.empty() ? missing_ + 1 : 0;
  if (missing_ >= readings_to_judge) return state_ = FlowSync::absent;
  if (listeners_.empty()) return state_;
  const auto keeps_up = [](const auto& entry) { return !entry.second.lost && entry.second.unread + 1 < readings_to_judge; };
  return state_ = std::ranges::any_of(listeners_, keeps_up) ? FlowSync::ok : FlowSync::behind;
}

} // namespace hanat
