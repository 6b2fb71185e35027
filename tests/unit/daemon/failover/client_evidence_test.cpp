// What is told of clients that get no answer: begun, each cause once, ended; when a cause is looked for; what the status says. Not here:
// the rule (decision/path_evidence_test), real clients (tests/netns/daemon/failover/path_test).
#include "daemon/failover/client_evidence.hpp"

#include <gmock/gmock.h>

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::KernelEvent;
using probes::KernelEventKind;

constexpr const char* gets_no_answer = "gets no answer";
constexpr const char* cause = "clients get no answer: ";
constexpr const char* over = "it lasted";

Finding forwarding_off() {
  return {.severity = Severity::problem,
          .code = "ip-forward-off",
          .service = "web",
          .what = "net.ipv4.ip_forward is 0",
          .remedy = "sysctl -w net.ipv4.ip_forward=1",
          .seen_by = ""};
}

class ClientEvidenceTest : public testing::Test {
protected:
  ClientEvidenceTest() {
    pass(probes::Outcome::pass);
    clients.configure({});
    clients.diagnose = [this](const ServiceState& service, const Endpoint& client, const Vip& vip) {
      EXPECT_EQ(&service, &web);
      EXPECT_EQ(vip, listener);
      diagnosed.push_back(client);
    };
  }
  void pass(probes::Outcome outcome) {
    ServerState& primary = web.servers[0];
    set_health(primary, Health::up, flows.now);
    primary.health = Health::up;
    primary.probes[0].last = probes::ProbeResult{.outcome = outcome, .reason = {}, .latency = {}, .detail = {}};
  }
  void hears(KernelEventKind kind, Clock::duration at, std::uint16_t port = 40'000) {
    go_to(at);
    clients.on_kernel_event({.kind = kind, .vip = listener, .client = endpoint("198.18.1.2", port), .sequence = 7}, flows.now);
    clients.run(flows.now);
  }
  void go_to(Clock::duration at) {
    while (const auto due = clients.next_wakeup()) {
      if (*due > began + at) break;
      flows.now = std::max(flows.now, *due);
      clients.run(flows.now);
    }
    flows.now = began + at;
  }
  /// A client whose SYN comes three times.
  void trouble(Clock::duration at = 0s) {
    hears(KernelEventKind::undelivered, at + 1s);
    hears(KernelEventKind::undelivered, at + 3s);
    go_to(at + 4s);
  }
  std::size_t told(const char* words) const { return events_of(flows.outbox, words); }
  PathStatus status() const { return clients.status("web", flows.now); }

  Flows flows;
  const Time began = flows.now;
  ServiceState& web = flows.add_at(small_service("web", 443), 0);
  const Vip listener = web.config.listen.front();
  ClientEvidence clients{flows.registry, flows.outbox};
  std::vector<Endpoint> diagnosed;
};

TEST_F(ClientEvidenceTest, TroubleIsToldOnceWithItsCauseAndItsEnd) {
  EXPECT_EQ(status(), PathStatus{});
  trouble();
  EXPECT_EQ(told(gets_no_answer), 1U);
  EXPECT_EQ(status().state, "unanswered");
  EXPECT_EQ(status().unanswered_clients, 1U);
  EXPECT_TRUE(status().since);
  clients.found("web", {forwarding_off()}, flows.now);
  clients.found("web", {forwarding_off()}, flows.now);
  EXPECT_EQ(told(cause), 1U);
  ASSERT_EQ(status().findings.size(), 1U);
  EXPECT_EQ(status().findings[0].remedy, "sysctl -w net.ipv4.ip_forward=1");
  EXPECT_EQ(status().findings[0].severity, "problem");
  hears(KernelEventKind::undelivered, 10s, 40'001);
  hears(KernelEventKind::answered, 20s, 40'002);
  EXPECT_EQ(told(over), 1U);
  EXPECT_EQ(told("clients are answered again; it lasted"), 1U);
  EXPECT_EQ(status().state, "ok");
  EXPECT_TRUE(status().findings.empty());
  TotalsStatus totals;
  clients.add_totals("web", totals);
  EXPECT_EQ(totals.clients_unanswered, 2U);
  go_to(100s);
  EXPECT_EQ(clients.next_wakeup(), std::nullopt);
  EXPECT_EQ(status(), PathStatus{});
  EXPECT_EQ(told(gets_no_answer), 1U);
}

TEST_F(ClientEvidenceTest, TheCauseIsLookedForBeforeTheThirdSynAndToldWithTheTrouble) {
  hears(KernelEventKind::undelivered, 1s);
  EXPECT_THAT(diagnosed, testing::IsEmpty());
  go_to(1'300ms);
  EXPECT_THAT(diagnosed, testing::ElementsAre(endpoint("198.18.1.2", 40'000)));
  hears(KernelEventKind::undelivered, 3s);
  clients.found("web", {forwarding_off()}, flows.now);
  EXPECT_EQ(told(cause), 0U) << "the client may still be answered";
  go_to(4s);
  EXPECT_EQ(told(gets_no_answer), 1U);
  EXPECT_EQ(told(cause), 1U);
}

TEST_F(ClientEvidenceTest, OneDiagnosisAtATimeAndOneInTenSeconds) {
  for (int second = 0; second < 9; ++second) hears(KernelEventKind::undelivered, second * 1s, static_cast<std::uint16_t>(40'000 + second));
  EXPECT_EQ(diagnosed.size(), 1U);
  clients.found("web", {}, flows.now);
  hears(KernelEventKind::undelivered, 9s, 40'010);
  go_to(9'900ms);
  EXPECT_EQ(diagnosed.size(), 1U);
  hears(KernelEventKind::undelivered, 12s, 40'011);
  go_to(13s);
  EXPECT_EQ(diagnosed.size(), 2U);
  go_to(30s);
  EXPECT_EQ(diagnosed.size(), 2U) << "the second has not come back";
}

TEST_F(ClientEvidenceTest, WhatWasFoundForAClientThatIsAnsweredAfterAllIsForgotten) {
  hears(KernelEventKind::undelivered, 1s);
  go_to(1'300ms);
  clients.found("web", {forwarding_off()}, flows.now);
  hears(KernelEventKind::answered, 3s);
  trouble(80s);
  EXPECT_EQ(told(gets_no_answer), 1U);
  EXPECT_EQ(told(cause), 0U);
}

TEST_F(ClientEvidenceTest, NothingIsSaidWhileTheTargetHasJustChangedOrItsProbesDoNotPass) {
  web.target_loaded_at = flows.now;
  trouble();
  EXPECT_EQ(told(gets_no_answer), 0U);
  pass(probes::Outcome::fail);
  trouble(100s);
  EXPECT_EQ(told(gets_no_answer), 0U);
  web.servers[0].health = Health::down;
  trouble(200s);
  EXPECT_EQ(told(gets_no_answer), 0U);
  EXPECT_THAT(diagnosed, testing::IsEmpty());
}

TEST_F(ClientEvidenceTest, AFlipEndsItAndItIsJudgedAnew) {
  trouble();
  Change change{.batch = 0, .service = &web, .decision = to_server(1), .plan = desired_state(web, to_server(1), flows.now)};
  clients.on_applied(change, flows.now);
  EXPECT_EQ(told("is judged anew"), 1U);
  EXPECT_EQ(web.target_loaded_at, flows.now);
  EXPECT_EQ(status().state, "no-evidence");
}

TEST_F(ClientEvidenceTest, RefusedClientsAreCounted) {
  for (int number = 0; number < 5; ++number) hears(KernelEventKind::refused, number * 1s);
  EXPECT_EQ(status().refused_clients, 1U);
  EXPECT_EQ(status().state, "no-evidence");
  TotalsStatus totals;
  clients.add_totals("web", totals);
  EXPECT_EQ(totals.clients_refused, 5U);
}

TEST_F(ClientEvidenceTest, AnAnswerCountsWhereTheKernelTellsOnlyItsServerToo) {
  trouble();
  KernelEvent answer{.kind = KernelEventKind::answered, .server = endpoint("198.18.2.2", 443), .client = endpoint("198.18.1.2", 1)};
  clients.on_kernel_event(answer, flows.now);
  clients.run(flows.now);
  EXPECT_EQ(told(over), 0U) << "another server";
  answer.server = endpoint("198.18.1.2", 443);
  clients.on_kernel_event(answer, flows.now);
  clients.run(flows.now);
  EXPECT_EQ(told(over), 1U);
}

TEST_F(ClientEvidenceTest, ACheckOfHanatdsOwnTellsWhereThereIsNoClient) {
  clients.checked("web", true, {}, flows.now);
  EXPECT_EQ(status().state, "ok");
  clients.checked("web", false, {forwarding_off()}, flows.now);
  EXPECT_EQ(told("hanatd's own check gets no answer"), 1U);
  EXPECT_EQ(told(cause), 1U);
  EXPECT_EQ(status().state, "unanswered");
  clients.checked("web", false, {forwarding_off()}, flows.now);
  EXPECT_EQ(told(cause), 1U);
  clients.checked("web", true, {}, flows.now);
  EXPECT_EQ(told("clients are answered again; it lasted"), 1U);
  EXPECT_EQ(status().state, "ok");
}

TEST_F(ClientEvidenceTest, OffAndForUnknownEndpointsNothingIsRemembered) {
  clients.on_kernel_event({.kind = KernelEventKind::undelivered,
                           .vip = Vip{.address = address("203.0.113.99"), .protocol = Protocol::tcp, .port = 1},
                           .client = endpoint("198.18.1.2", 1)},
                          flows.now);
  EXPECT_EQ(clients.next_wakeup(), std::nullopt);
  clients.configure({.clients = false});
  trouble();
  EXPECT_EQ(told(gets_no_answer), 0U);
  EXPECT_EQ(clients.next_wakeup(), std::nullopt);
}

} // namespace
} // namespace hanat::test
