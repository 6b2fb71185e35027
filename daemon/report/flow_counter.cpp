// The thread and its one job.
#include "daemon/report/flow_counter.hpp"

#include <chrono>
#include <exception>
#include <utility>

namespace hanat {
namespace {

constexpr std::chrono::milliseconds read_at_most_every{1'000};

} // namespace

FlowCounter::FlowCounter(uv_loop_t* loop, std::string table) : reader_(std::move(table)), thread_(loop, [this] { done(); }) {}

void FlowCounter::look(Time now) {
  if (thread_.busy() || now < next_) return;
  next_ = now + read_at_most_every;
  const auto job = [this] {
    try {
      totals_.add(reader_.read());
      sums_ = totals_.sums();
    } catch (const std::exception&) { // no table, or one that changes all the time: the next look tries again
      sums_.reset();
    }
  };
  if (thread_.run(job, {})) done();
}

void FlowCounter::done() {
  if (sums_) std::swap(shown_, sums_); // the thread frees those of before
}

void FlowCounter::add_to(ServiceStatus& service) const {
  if (!shown_) return;
  for (ServerStatus& server : service.servers) server.new_flows = sum_of(*shown_, service.name, server.role);
}

} // namespace hanat
