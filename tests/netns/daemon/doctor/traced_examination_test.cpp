// The doctor with a trace: what a rule did comes first and needs no second reason; packets are sent when the trace is ready; a real client
// is traced beside hanatd's own. Not here: the trace of nf_tables.
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <uv.h>

#include "daemon/doctor/doctor.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

/// Has a finding ready for each target, and says so some turns of the loop later.
class ScriptedTracing : public Tracing {
public:
  explicit ScriptedTracing(uv_loop_t* loop) : timer_(make_timer(loop, this)) {
    uv_timer_start(
        timer_.get(), [](uv_timer_t* timer) { static_cast<ScriptedTracing*>(timer->data)->tick(); }, 5, 5);
  }
  void start(const TraceTarget& target, Clock::duration /*limit*/, OnReady on_ready, OnDone on_done) override {
    targets.push_back(target);
    pending_.push_back(
        {.ready = std::move(on_ready), .done = std::move(on_done), .ticks = 0, .own = target.client == doctor_client("t").ipv4});
  }
  void stop() override { pending_.clear(); }

  std::vector<TraceTarget> targets;
  std::map<bool, std::vector<Finding>> found; // by whether it is hanatd's own client

private:
  struct Pending {
    OnReady ready;
    OnDone done;
    int ticks;
    bool own;
  };
  void tick() {
    std::vector<Pending> due;
    for (Pending& trace : pending_) {
      if (++trace.ticks == 2) trace.ready();
      if (trace.ticks == 4) due.push_back(trace);
    }
    std::erase_if(pending_, [](const Pending& trace) { return trace.ticks >= 4; });
    for (const Pending& trace : due) trace.done({.found = found[trace.own], .left_by = {}});
  }
  std::vector<Pending> pending_;
  UvHandle<uv_timer_t> timer_;
};

Finding rule_finding(const char* what) {
  return {
      .severity = Severity::problem, .code = "forward-drop", .service = "web", .what = what, .remedy = "nft delete rule", .seen_by = {}};
}

std::vector<std::string> facts_of(const Diagnosis& diagnosis) {
  std::vector<std::string> facts;
  for (const Finding& finding : diagnosis.found) facts.push_back(finding.code == "forward-drop" ? finding.what : finding.code);
  return facts;
}

class TracedExamination : public testing::Test {
protected:
  TracedExamination() {
    lab.must(
        Host::gateway,
        "nft add table ip t && nft 'add chain ip t pre { type nat hook prerouting priority -100; }' && nft 'add rule ip t pre ip daddr "
        "203.0.113.10 tcp dport 443 dnat to " +
            Lab::address(Host::primary).text() +
            ":8443' && nft 'add chain ip t through { type filter hook forward priority 0; policy drop; }'");
    check.name = "web";
    check.endpoints = {
        {.vip = {.address = Lab::vip(443).address, .port = 443}, .server = Lab::endpoint(Host::primary, 8443), .snat = {}, .payload = {}}};
  }
  Diagnosis examine(const std::function<void(ScriptedTracing&)>& prepare) {
    return lab.in(Host::gateway, [&] {
      std::optional<Diagnosis> result;
      uv_loop_t loop;
      uv_loop_init(&loop);
      {
        ScriptedTracing tracing(&loop);
        prepare(tracing);
        Doctor doctor(&loop, {.table = "t", .tracing = &tracing, .check_rules = {}});
        EXPECT_TRUE(doctor.examine({check}, [&](Diagnosis diagnosis) { result = std::move(diagnosis); }));
        for (const auto end = TestClock::now() + 10s; !result && TestClock::now() < end;) uv_run(&loop, UV_RUN_ONCE);
        targets = tracing.targets;
      }
      uv_run(&loop, UV_RUN_DEFAULT);
      uv_loop_close(&loop);
      return result.value();
    });
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  ServiceCheck check;
  std::vector<TraceTarget> targets;
};

TEST_F(TracedExamination, NamesTheRuleAndNotItsEffect) {
  EXPECT_THAT(facts_of(examine([](ScriptedTracing&) {})), ElementsAre("not-forwarded"));
  ASSERT_EQ(targets.size(), 1U);
  EXPECT_EQ(targets[0].client, doctor_client("t").ipv4);
  EXPECT_EQ(targets[0].server, Lab::endpoint(Host::primary, 8443));
  EXPECT_THAT(facts_of(examine([](ScriptedTracing& tracing) { tracing.found[true] = {rule_finding("policy drop")}; })),
              ElementsAre("policy drop"));
}

TEST_F(TracedExamination, PutsWhatARealClientMetFirst) {
  check.unanswered = UnansweredClient{.client = Lab::endpoint(Host::client, 40'000), .vip = check.endpoints[0].vip};
  const auto facts = facts_of(examine([](ScriptedTracing& tracing) {
    tracing.found[true] = {rule_finding("for hanatd's own")};
    tracing.found[false] = {rule_finding("for the client")};
  }));
  EXPECT_THAT(facts, ElementsAre("for the client", "for hanatd's own"));
  EXPECT_EQ(targets.size(), 2U);
}

TEST_F(TracedExamination, TracesNobodyWhereAllIsWell) {
  lab.must(Host::gateway, "nft 'add chain ip t through { policy accept; }'");
  EXPECT_THAT(facts_of(examine([](ScriptedTracing&) {})), testing::IsEmpty());
  EXPECT_TRUE(targets.empty());
}

} // namespace
} // namespace hanat::test
