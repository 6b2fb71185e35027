// One job a reply.
#include "daemon/control/long_replies.hpp"

#include <string>
#include <utility>

#include "daemon/api/varlink.hpp"

namespace hanat {

void LongReplies::finish(std::vector<std::shared_ptr<PendingReply>> replies, bool long_one, std::function<nlohmann::json()> make) {
  std::erase_if(replies, [](const auto& reply) { return !reply || reply->is_over(); });
  if (replies.empty()) return;
  const auto bytes = std::make_shared<std::string>();
  auto job = [bytes, make = std::move(make)] { *bytes = varlink::reply_bytes(make()); };
  auto done = [bytes, replies = std::move(replies)] {
    for (const auto& reply : replies) reply->finish_with(*bytes);
  };
  if (long_one) return jobs_.run(std::move(job), std::move(done));
  job();
  done();
}

} // namespace hanat
