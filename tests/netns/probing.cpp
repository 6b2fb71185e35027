// Running a loop for a test.
#include "tests/netns/probing.hpp"

#include <thread>
#include <utility>

#include <fmt/format.h>

#include "nat/address.hpp"

namespace hanat::test {

using namespace std::chrono_literals;

Probing::Probing() {
  uv_loop_init(&loop);
  engine = std::make_unique<probes::Engine>(&loop, [this](probes::QuestionId id, const probes::Answer& answer) {
    heard.push_back({.id = id, .answer = answer});
    if (on_answer) on_answer(id, answer);
  });
}

Probing::~Probing() {
  engine.reset();
  uv_run(&loop, UV_RUN_DEFAULT); // handles close
  EXPECT_EQ(uv_loop_close(&loop), 0) << "a handle was left open";
}

bool Probing::run_until(const std::function<bool()>& done, Clock::duration limit) {
  uv_timer_t tick{};
  uv_timer_init(&loop, &tick);
  uv_timer_start(
      &tick, [](uv_timer_t*) {}, 2, 2);
  const auto end = Clock::now() + limit;
  while (!done() && Clock::now() < end) uv_run(&loop, UV_RUN_ONCE);
  bool closed = false;
  tick.data = &closed;
  uv_close(reinterpret_cast<uv_handle_t*>(&tick), [](uv_handle_t* handle) { *static_cast<bool*>(handle->data) = true; });
  while (!closed) uv_run(&loop, UV_RUN_NOWAIT);
  return done();
}

void Probing::run_for(Clock::duration time) {
  const auto end = Clock::now() + time;
  run_until([end] { return Clock::now() >= end; }, time + 10s);
}

void Probing::stand_still(Clock::duration time) {
  uv_prepare_t before_poll{};
  uv_prepare_init(&loop, &before_poll);
  std::pair<Probing*, Clock::duration> context{this, time};
  before_poll.data = &context;
  uv_prepare_start(&before_poll, [](uv_prepare_t* handle) {
    auto& [probing, pause] = *static_cast<std::pair<Probing*, Clock::duration>*>(handle->data);
    if (probing->engine->under_way() == 0) return;
    std::this_thread::sleep_for(pause);
    uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
  });
  while (uv_is_closing(reinterpret_cast<uv_handle_t*>(&before_poll)) == 0) uv_run(&loop, UV_RUN_ONCE);
  uv_run(&loop, UV_RUN_NOWAIT); // gives the handle back
}

probes::Answer ask_once(const probes::Question& question) {
  Probing probing;
  probing.engine->add(question, {.interval = 60s}, 0s);
  EXPECT_TRUE(probing.run_until([&] { return !probing.heard.empty(); })) << "no answer at all";
  return probing.heard.empty() ? probes::Answer{} : probing.heard.front().answer;
}

void print_lateness(const Probing& probing, const char* what) {
  const auto& lateness = probing.engine->lateness();
  const auto ms = [&](double part) { return std::chrono::duration<double, std::milli>(lateness.quantile(part)).count(); };
  fmt::print("  {}: {} asked, {} skipped; lateness p50 {:.1f} ms, p99 {:.1f} ms, worst {:.1f} ms\n", what, lateness.asked, lateness.skipped,
             ms(0.5), ms(0.99), ms(1.0));
}

probes::Question tcp_question(const Endpoint& server, probes::Clock::duration timeout) {
  probes::Question question{.spec = {}, .server = server};
  question.spec.timeout = timeout;
  return question;
}

probes::Question http_question(const Endpoint& server, probes::Clock::duration timeout, probes::Kind kind) {
  auto question = tcp_question(server, timeout);
  question.spec.kind = kind;
  return question;
}

probes::Question variant(probes::Question question, std::size_t number) {
  question.spec.timeout += std::chrono::microseconds{number};
  return question;
}

testing::AssertionResult at_deadline(probes::Clock::duration latency, probes::Clock::duration timeout) {
  if (latency >= timeout && latency <= timeout + noise) return testing::AssertionSuccess();
  const auto ms = [](probes::Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
  return testing::AssertionFailure() << "judged after " << ms(latency) << " ms, the deadline was " << ms(timeout) << " ms";
}

Endpoint at(const char* address, std::uint16_t port) { return {.address = Address::parse(address).value_or(Address{}), .port = port}; }

} // namespace hanat::test
