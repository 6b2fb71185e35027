// Who follows the events: each gets every event of its service as it happens, by a queue of its own. Not here: the queue (pending_reply),
// what was before (history).
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "daemon/api/status.hpp"
#include "daemon/control/pending_reply.hpp"

namespace hanat {

class Followers {
public:
  /// `service`: with the reloads, as the history has them; empty: all. The first reply says that nothing is missed from now on.
  std::shared_ptr<PendingReply> add(const std::string& service, std::uint64_t next);
  /// `next`: the number of the entry that comes next in the history.
  void publish(const HistoryEntry& entry, std::uint64_t next);
  std::size_t size() const { return followers_.size(); }

private:
  struct Follower {
    std::string service;
    std::shared_ptr<PendingReply> reply;
  };
  std::list<Follower> followers_;
};

} // namespace hanat
