// Running a loop for a test.
#include "tests/netns/lab/probing.hpp"

#include <thread>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>

#include "nat/address.hpp"

namespace hanat::test {

using namespace std::chrono_literals;

Probing::Probing() {
  uv_loop_init(&loop);
  scheduler = std::make_unique<probes::Scheduler>(&loop, [this](probes::ProbeId id, const probes::ProbeResult& result) {
    results.push_back({.id = id, .result = result});
    if (on_result) on_result(id, result);
  });
}

Probing::~Probing() {
  scheduler.reset();
  uv_run(&loop, UV_RUN_DEFAULT); // handles close
  EXPECT_EQ(uv_loop_close(&loop), 0) << "a handle was left open";
}

bool Probing::run_until(const std::function<bool()>& done, Clock::duration limit) {
  uv_timer_t tick{};
  uv_timer_init(&loop, &tick);
  uv_timer_start(
      &tick, [](uv_timer_t*) {}, 2, 2);
  const auto end = Clock::now() + limit;
  bool met = false; // it may be so for a moment only
  while (!(met = done()) && Clock::now() < end) uv_run(&loop, UV_RUN_ONCE);
  bool closed = false;
  tick.data = &closed;
  uv_close(reinterpret_cast<uv_handle_t*>(&tick), [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = true; });
  while (!closed) uv_run(&loop, UV_RUN_NOWAIT);
  return met;
}

void Probing::run_for(Clock::duration time) {
  const auto end = Clock::now() + time;
  run_until([end] { return Clock::now() >= end; }, time + 10s);
}

void Probing::block_loop(Clock::duration time) {
  uv_prepare_t before_poll{};
  uv_prepare_init(&loop, &before_poll);
  std::pair<Probing*, Clock::duration> context{this, time};
  before_poll.data = &context;
  uv_prepare_start(&before_poll, [](uv_prepare_t* handle) {
    auto& [probing, pause] = *static_cast<std::pair<Probing*, Clock::duration>*>(handle->data);
    if (probing->scheduler->in_flight() == 0) return;
    std::this_thread::sleep_for(pause);
    uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
  });
  while (uv_is_closing(reinterpret_cast<uv_handle_t*>(&before_poll)) == 0) uv_run(&loop, UV_RUN_ONCE);
  uv_run(&loop, UV_RUN_NOWAIT); // frees the handle
}

probes::ProbeResult probe_once(const probes::Probe& probe) {
  Probing probing;
  probing.scheduler->add(probe, {.interval = 60s}, 0s);
  EXPECT_TRUE(probing.run_until([&] { return !probing.results.empty(); })) << "no result at all";
  return probing.results.empty() ? probes::ProbeResult{} : probing.results.front().result;
}

void print_lateness(const Probing& probing, const char* what) {
  const auto& lateness = probing.scheduler->lateness();
  const auto ms = [&](double part) { return std::chrono::duration<double, std::milli>(lateness.quantile(part)).count(); };
  fmt::print("  {}: {} started, {} skipped; lateness p50 {:.1f} ms, p99 {:.1f} ms, worst {:.1f} ms\n", what, lateness.started,
             lateness.skipped, ms(0.5), ms(0.99), ms(1.0));
}

probes::Probe tcp_probe(const Endpoint& server, Clock::duration timeout) {
  probes::Probe probe{.spec = {}, .server = server};
  probe.spec.timeout = timeout;
  return probe;
}

probes::Probe http_probe(const Endpoint& server, Clock::duration timeout, probes::Kind kind) {
  auto probe = tcp_probe(server, timeout);
  probe.spec.kind = kind;
  return probe;
}

probes::Probe variant(probes::Probe probe, std::size_t number) {
  probe.spec.timeout += std::chrono::microseconds{number};
  return probe;
}

NoDescriptors::NoDescriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit_ = std::exchange(limit.rlim_cur, 0);
  setrlimit(RLIMIT_NOFILE, &limit);
}

NoDescriptors::~NoDescriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit_;
  setrlimit(RLIMIT_NOFILE, &limit);
}

testing::AssertionResult at_deadline(Clock::duration latency, Clock::duration timeout) {
  if (latency >= timeout && latency <= timeout + noise) return testing::AssertionSuccess();
  const auto ms = [](Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
  return testing::AssertionFailure() << "the result came after " << ms(latency) << " ms, the deadline was " << ms(timeout) << " ms";
}

Endpoint at(const char* address, std::uint16_t port) { return {.address = Address::parse(address).value_or(Address{}), .port = port}; }

} // namespace hanat::test
