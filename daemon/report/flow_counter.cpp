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
      counts_ = reader_.read();
      failed_ = false;
    } catch (const std::exception&) { // no table, or one that changes all the time: the next look tries again
      failed_ = true;
    }
  };
  if (thread_.run(job, {})) done();
}

void FlowCounter::done() {
  if (!failed_) totals_.add(counts_);
}

void FlowCounter::add_to(ServiceStatus& service) const {
  for (ServerStatus& server : service.servers) server.new_flows = totals_.of(service.name, server.role);
}

} // namespace hanat
