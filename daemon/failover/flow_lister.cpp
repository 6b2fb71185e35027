// One request after the other.
#include "daemon/failover/flow_lister.hpp"

#include <utility>

#include <sys/resource.h>
#include <unistd.h>

namespace hanat {
namespace {

constexpr int lister_niceness = 10; // behind the loop, and behind cuts

} // namespace

FlowLister::FlowLister(uv_loop_t* loop) : thread_(loop, [this] { found(); }) {}

FlowLister::~FlowLister() {
  cancelled_ = true;
  thread_.join();
}

bool FlowLister::list(std::vector<Mapping> mappings, std::size_t at_most, OnFound on_found) {
  if (requests_.size() >= waiting_at_most) return false;
  requests_.push_back({.mappings = std::move(mappings), .at_most = at_most, .on_found = std::move(on_found)});
  if (requests_.size() == 1) next();
  return true;
}

void FlowLister::next() {
  if (thread_.run([this, &request = requests_.front()] { work(request); }, Clock::duration::zero())) found();
}

void FlowLister::work(const Request& request) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), lister_niceness); // of this thread
  const auto began = std::chrono::steady_clock::now();
  found_ = {};
  try {
    if (!cutter_) cutter_.emplace();
    found_.list = cutter_->list(request.mappings, request.at_most, cancelled_);
    if (!found_.list) found_.failure = "conntrack changed too much while it was read; try again";
  } catch (const std::exception& error) {
    found_.failure = error.what();
  }
  found_.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
}

void FlowLister::found() {
  const OnFound on_found = std::move(requests_.front().on_found);
  requests_.pop_front();
  on_found(std::exchange(found_, {}));
  if (!requests_.empty()) next();
}

} // namespace hanat
