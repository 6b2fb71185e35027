// Counts and lists flows for who asks, on a thread and a netlink socket of its own: a cut neither waits for it nor shares a dump with it.
// Not here: which flows are meant (connections), cuts and the audit (conntrack_worker).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/util/worker_thread.hpp"
#include "nat/conntrack/cut.hpp"

namespace hanat {

class FlowLister {
public:
  static constexpr std::size_t waiting_at_most = 8;

  struct Found {
    std::optional<nat::FlowList> list; // absent: `failure` says why
    std::string failure;
    std::chrono::microseconds took{};
  };
  using OnFound = std::function<void(Found)>; // on the loop

  explicit FlowLister(uv_loop_t* loop);
  ~FlowLister();
  FlowLister(const FlowLister&) = delete;
  FlowLister& operator=(const FlowLister&) = delete;

  /// False: too many wait already.
  bool list(std::vector<Mapping> mappings, std::size_t at_most, OnFound on_found);

private:
  struct Request {
    std::vector<Mapping> mappings;
    std::size_t at_most = 0;
    OnFound on_found;
  };

  void next();
  void work(const Request& request);
  void found();

  std::deque<Request> requests_; // the first is under way
  Found found_;
  std::optional<nat::Cutter> cutter_; // the thread's; made for the first request
  std::atomic<bool> cancelled_ = false;
  WorkerThread thread_;
};

} // namespace hanat
