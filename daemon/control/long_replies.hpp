// Replies whose text takes longer than a flip may wait are written on a thread of their own. Not here: what they say.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/control/pending_reply.hpp"
#include "daemon/util/job_queue.hpp"

namespace hanat {

class LongReplies {
public:
  explicit LongReplies(uv_loop_t* loop) : jobs_(loop) {}

  /// So many changes of services are written in less than a millisecond, on the loop.
  static constexpr std::size_t short_enough = 64;
  /// The same last reply to all of them. `make` runs on the thread when it is `long_one`: it uses nothing that the loop changes.
  void finish(std::vector<std::shared_ptr<PendingReply>> replies, bool long_one, std::function<nlohmann::json()> make);

private:
  JobQueue jobs_;
};

} // namespace hanat
