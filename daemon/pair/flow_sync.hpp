// Whether conntrackd, which carries connections from one gateway to the other, runs and keeps up. It says so to nobody; the kernel's list
// of netlink sockets does. Not here: when it is read (program_monitor), what follows (report, doctor).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace hanat {

enum class FlowSync : std::uint8_t {
  unknown, // not asked long enough, or the kernel does not say
  ok,
  absent, // nobody hears what conntrack does
  behind, // whoever hears it does not read it, or messages were lost because it reads them too slowly
};
std::string_view to_text(FlowSync state);

/// A socket that hears of new, changed and ended entries of conntrack.
struct ConntrackListener {
  std::uint64_t inode = 0;
  std::uint64_t waiting = 0; // bytes of messages that it has not read
  std::uint64_t lost = 0;    // messages, since it was opened
  bool operator==(const ConntrackListener&) const = default;
};
/// From the text of /proc/net/netlink. nullopt: there is none.
std::optional<std::vector<ConntrackListener>> conntrack_listeners_in(std::string_view sockets);
/// Of the calling thread's network namespace. Reads a file of the kernel's.
std::optional<std::vector<ConntrackListener>> read_conntrack_listeners();

/// Judges by several readings, one after the other. Pure.
class FlowSyncJudge {
public:
  /// Of several listeners the best one counts: it may be conntrackd.
  FlowSync take(const std::optional<std::vector<ConntrackListener>>& listeners);

private:
  struct Listener {
    ConntrackListener last;
    int unread = 0; // readings at which messages waited, and no fewer than before
    int well = 0;   // readings without trouble since it lost messages
    bool lost = false;
  };
  static Listener next(const Listener& before, const ConntrackListener& now);

  std::map<std::uint64_t, Listener> listeners_; // by inode
  int missing_ = 0;                             // readings without a listener
  FlowSync state_ = FlowSync::unknown;
};

} // namespace hanat
