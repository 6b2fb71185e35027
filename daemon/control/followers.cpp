// A list of queues.
#include "daemon/control/followers.hpp"

#include <nlohmann/json.hpp>

#include "daemon/report/history.hpp"

namespace hanat {

using nlohmann::json;

std::shared_ptr<PendingReply> Followers::add(const std::string& service, std::uint64_t next) {
  auto reply = std::make_shared<PendingReply>();
  reply->send({{"event", nullptr}, {"next", next}});
  followers_.push_back({.service = service, .reply = reply});
  return reply;
}

void Followers::publish(const HistoryEntry& entry, std::uint64_t next) {
  std::erase_if(followers_, [](const Follower& follower) { return follower.reply->is_over(); });
  json event; // made once, and only where somebody follows
  for (const Follower& follower : followers_) {
    if (!HistoryFilter{.service = follower.service, .since = {}, .until = {}}.accepts(entry)) continue;
    if (event.is_null()) event = {{"event", entry}, {"next", next}};
    follower.reply->send(event);
  }
}

} // namespace hanat
