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
  void hears(KernelEventKind kind, Clock::duration at, std::uint16_t port = 40'000, const char* from = "198.18.1.2") {
    go_to(at);
    clients.on_kernel_event({.kind = kind, .vip = listener, .client = endpoint(from, port), .sequence = 7}, flows.now);
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
  /// Two clients whose SYNs come three times.
  void trouble(Clock::duration at = 0s) {
    for (const auto repeated : {1s, 3s})
      for (const char* from : {"198.18.1.2", "198.18.1.3"}) hears(KernelEventKind::undelivered, at + repeated, 40'000, from);
    go_to(at + 5s);
  }
  /// One that does so.
  void one_hangs(Clock::duration at, const char* from) {
    for (const auto repeated : {1s, 3s}) hears(KernelEventKind::undelivered, at + repeated, 40'000, from);
    go_to(at + 4s);
  }
  void found(std::vector<Finding> findings, std::optional<bool> own_client = {}, const char* client = "198.18.1.2") {
    clients.found("web", {.verdict = {}, .client = address(client), .saw_client = !findings.empty(), .own_client = own_client},
                  std::move(findings), flows.now);
    clients.run(flows.now);
  }
  std::size_t told(const char* words) const { return events_of(flows.outbox, words); }
  PathStatus status() const { return clients.status("web", flows.now); }

  Flows flows;
  const Time began = flows.now;
  ServiceState& web = flows.add_at(small_service("web", 443), 0);
  const Vip listener = web.config->listen.front();
  ClientEvidence clients{flows.registry, flows.outbox};
  std::vector<Endpoint> diagnosed;
};

TEST_F(ClientEvidenceTest, TroubleIsToldOnceWithItsCauseAndItsEnd) {
  EXPECT_EQ(status(), PathStatus{});
  trouble();
  EXPECT_EQ(told(gets_no_answer), 1U);
  EXPECT_EQ(status().state, "unanswered");
  EXPECT_EQ(status().unanswered_clients, 2U);
  EXPECT_TRUE(status().since);
  found({forwarding_off()});
  found({forwarding_off()});
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
  EXPECT_EQ(totals.clients_unanswered, 3U);
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
  found({forwarding_off()});
  EXPECT_EQ(told(cause), 0U) << "the client may still be answered";
  go_to(4s);
  EXPECT_EQ(told(gets_no_answer), 1U);
  EXPECT_EQ(told(cause), 1U);
}

TEST_F(ClientEvidenceTest, OneDiagnosisAtATimeAndOneInTenSeconds) {
  for (int second = 0; second < 9; ++second) hears(KernelEventKind::undelivered, second * 1s, static_cast<std::uint16_t>(40'000 + second));
  EXPECT_EQ(diagnosed.size(), 1U);
  found({});
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
  found({forwarding_off()});
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
  for (const char* from : {"198.18.1.2", "198.18.1.3"}) {
    answer.client = endpoint(from, 1);
    clients.on_kernel_event(answer, flows.now);
  }
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
  EXPECT_EQ(told("hanatd's own client is answered again; it lasted"), 1U);
  EXPECT_EQ(status().state, "ok");
  clients.checked("web", std::nullopt, {}, flows.now);
  EXPECT_EQ(status().state, "no-evidence") << "this time it was not looked at";
}

TEST_F(ClientEvidenceTest, WhatClientsSaidBeforeACheckDoesNotOutweighIt) {
  hears(KernelEventKind::undelivered, 1s);
  hears(KernelEventKind::answered, 2s);
  ASSERT_EQ(status().state, "ok");
  go_to(7s);
  clients.checked("web", false, {forwarding_off()}, flows.now);
  EXPECT_EQ(status().state, "unanswered");
  EXPECT_EQ(told("clients are answered again"), 0U);
}

Finding blocked(Witness witness = Witness::real_client) {
  return {.severity = Severity::warning,
          .code = "forward-drop",
          .service = "web",
          .what = "dropped by inet fw forward rule 1",
          .remedy = "nft -a list chain inet fw forward",
          .seen_by = "client 198.18.1.2 by eth0",
          .witness = witness,
          .client_only = true};
}

TEST_F(ClientEvidenceTest, OneClientThatIsOnAListIsToldOfAndIsNoTrouble) {
  one_hangs(0s, "198.18.1.2");
  found({blocked()}, true);
  go_to(8s);
  EXPECT_EQ(told("a client gets no answer: dropped by inet fw forward rule 1"), 1U);
  EXPECT_EQ(told(gets_no_answer), 1U) << "that line alone";
  EXPECT_EQ(status().state, "no-evidence");
  one_hangs(20s, "198.18.1.9");
  found({blocked()}, true, "198.18.1.9");
  go_to(40s);
  EXPECT_EQ(told("a client gets no answer"), 1U) << "the same rule: once an hour";
  EXPECT_EQ(status().state, "no-evidence");
}

TEST_F(ClientEvidenceTest, WhatStoppedSingleClientsIsRememberedForAnHour) {
  one_hangs(0s, "198.18.1.2");
  found({blocked()}, true);
  go_to(60s);
  one_hangs(60s, "198.18.1.9");
  Finding again = blocked();
  again.seen_by = "client 198.18.1.9 by eth0";
  found({again}, true, "198.18.1.9");
  const auto recent = [&](const char* service = "web") { return clients.of_single_clients(service, flows.now); };
  ASSERT_EQ(recent().size(), 1U) << "one rule";
  EXPECT_EQ(recent()[0].finding.seen_by, "client 198.18.1.9 by eth0") << "the last one that met it";
  EXPECT_TRUE(recent("mail").empty());
  go_to(60s + 59min);
  EXPECT_EQ(recent().size(), 1U);
  go_to(75s + 60min);
  EXPECT_TRUE(recent().empty());
}

TEST_F(ClientEvidenceTest, OneClientAndHanatdsOwnAreTrouble) {
  one_hangs(0s, "198.18.1.2");
  EXPECT_EQ(status().state, "no-evidence");
  found({forwarding_off()}, false);
  EXPECT_EQ(status().state, "unanswered");
  EXPECT_EQ(status().findings.size(), 1U);
  found({}, true);
  EXPECT_EQ(status().state, "no-evidence") << "mended: it ends with the examination that shows it";
  EXPECT_EQ(told("hanatd's own client is answered again; it lasted"), 1U);
}

TEST_F(ClientEvidenceTest, AWarningIsNoSecondWitness) {
  one_hangs(0s, "198.18.1.2");
  Finding warning = forwarding_off();
  warning.severity = Severity::warning;
  found({warning}, std::nullopt);
  go_to(30s);
  EXPECT_EQ(status().state, "no-evidence");
}

TEST_F(ClientEvidenceTest, ACauseThatIsLookedForAgainAndGoneIsNotToldAnyLonger) {
  trouble();
  Finding rule = forwarding_off();
  rule.code = "forward-drop", rule.what = "dropped by a rule", rule.witness = Witness::real_client;
  found({forwarding_off(), rule}, true);
  EXPECT_EQ(status().findings.size(), 2U);
  clients.found("web", {.verdict = {}, .client = address("198.18.1.2"), .saw_client = false, .own_client = true}, {}, flows.now);
  ASSERT_EQ(status().findings.size(), 1U) << "the client sent nothing this time";
  EXPECT_EQ(status().findings[0].code, "forward-drop");
  clients.found("web", {.verdict = {}, .client = address("198.18.1.2"), .saw_client = true, .own_client = true}, {}, flows.now);
  EXPECT_TRUE(status().findings.empty());
}

TEST_F(ClientEvidenceTest, WhatStopsHanatdsOwnClientAloneIsNoTrouble) {
  clients.checked("web", true, {}, flows.now);
  clients.checked("web", false, {blocked(Witness::own_client)}, flows.now);
  EXPECT_EQ(status().state, "no-evidence");
  EXPECT_EQ(told("gets no answer"), 0U);
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
