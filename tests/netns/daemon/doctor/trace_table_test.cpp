// The trace table: it comes and goes with the traces, and vanishes with its process; IPv6, UDP, port ranges, and clients on the gateway;
// many rules of others; hanatd takes none of it for a change of its table. Not here: what is named (tracer_test).
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nat/nftables/trace_table.hpp"
#include "tests/netns/daemon/doctor/tracing.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* forward_drops =
    "nft 'add table inet fw; add chain inet fw deny { type filter hook forward priority 0; policy drop; }'";

class TraceTableLife : public testing::Test {
protected:
  Lab lab{{.bystander = true, .vip_local = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  UdpServer udp{lab, Host::primary, 8443, "primary"};
  std::string tables() { return lab.must(Host::gateway, "nft list tables"); }
  std::optional<Finding> culprit(const TraceResult& result, const Vip& vip) {
    EXPECT_EQ(result.error, "");
    return culprit_of(result.packets, result.ruleset, web_context(vip));
  }
};

TEST_F(TraceTableLife, KilledItsProcessTakesTheTableWithIt) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = lab.in(Host::gateway, [&] {
    const pid_t pid = fork();
    if (pid == 0) {
      nat::TraceTable table{"hanat"};
      table.add({Lab::address(Host::client), traced_vip()});
      static_cast<void>(!write(pipe_ends[1], "x", 1));
      alarm(60); // at the latest
      while (true) pause();
    }
    return pid;
  });
  char ready = 0;
  ASSERT_EQ(read(pipe_ends[0], &ready, 1), 1);
  EXPECT_THAT(tables(), HasSubstr("table inet hanat_trace"));
  EXPECT_THAT(lab.must(Host::gateway, "nft list set inet hanat_trace traced4"),
              HasSubstr(fmt::format("{} . 203.0.113.10 . tcp . 443", Lab::address(Host::client).text())));
  EXPECT_NE(lab.run(Host::gateway, "nft delete table inet hanat_trace").exit, 0) << "nobody else can change it";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(pipe_ends[0]), close(pipe_ends[1]);
  EXPECT_THAT(tables(), Not(HasSubstr("_trace")));
}

TEST_F(TraceTableLife, ElementsOfSeveralClientsComeAndGo) {
  lab.in(Host::gateway, [&] {
    nat::TraceTable table{"hanat"};
    EXPECT_FALSE(table.is_loaded());
    const nat::TracedClient first{Lab::address(Host::client), traced_vip()};
    const nat::TracedClient six{Lab::address(Host::client, Family::ipv6), traced_vip(Family::ipv6)};
    const nat::TracedClient range{Lab::address(Host::client), {.address = first.vip.address, .port = 5000, .last = 5010}};
    for (const auto& client : {first, six, range, first}) table.add(client);
    table.remove(first);
    EXPECT_TRUE(table.is_loaded());
    table.remove(first);
    table.remove(range);
    table.remove(six);
    EXPECT_FALSE(table.is_loaded());
    EXPECT_THAT(lab.must(Host::gateway, "nft list tables"), Not(HasSubstr("_trace")));
    table.add(six);
    EXPECT_THAT(lab.must(Host::gateway, "nft list ruleset"), HasSubstr("nftrace set 1"));
  });
  EXPECT_THAT(tables(), Not(HasSubstr("_trace")));
}

TEST_F(TraceTableLife, ATableOfSomebodyElseIsNotTouched) {
  lab.must(Host::gateway, "nft 'add table inet hanat_trace; add chain inet hanat_trace mine'");
  const TraceResult result = trace_connect(lab);
  EXPECT_NE(result.error, "");
  EXPECT_THAT(lab.must(Host::gateway, "nft list ruleset"), HasSubstr("chain mine"));
}

TEST_F(TraceTableLife, IPv6UdpAndPortRangesAreTraced) {
  const std::string listen = "[2001:db8::10]:443/tcp";
  Hanatd hanatd{
      lab, fast_service({.listen = "[2001:db8::10]:443/tcp", .family = Family::ipv6}) +
               fast_service({.name = "dns", .listen = "203.0.113.10:53/udp", .probe = "type = \"tcp\", port = 8443"}) +
               fast_service({.name = "range", .listen = "203.0.113.11:8440-8450/tcp", .port = 0, .probe = "type = \"tcp\", port = 8443"})};
  for (const char* name : {"web", "dns", "range"}) hanatd.wait_target(name, "primary");
  lab.must(Host::gateway, forward_drops);
  const Vip six = traced_vip(Family::ipv6);
  auto found = culprit(trace_connect(lab, {.vip = six}), six);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what, "dropped by inet fw deny, policy drop");
  EXPECT_EQ(
      found->remedy,
      "nft insert rule inet fw deny ct status dnat ct original ip6 daddr 2001:db8::10 meta l4proto tcp ct original proto-dst 443 accept");

  const Vip dns = traced_vip(Family::ipv4, 53, Protocol::udp);
  found = culprit(trace_on_gateway(lab, {.vip = dns},
                                   [&] {
                                     UdpClient client{lab, Host::client, Lab::vip(53)};
                                     client.ask(milliseconds{300});
                                   }),
                  dns);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what, "dropped by inet fw deny, policy drop");

  const Vip range{.address = Address::parse("203.0.113.11").value(), .protocol = Protocol::tcp, .port = 8440, .last = 8450};
  found = culprit(trace_on_gateway(lab, {.vip = range},
                                   [&] {
                                     connect_once(lab, Host::client, {range.address, 8443}, milliseconds{300});
                                   }),
                  range);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what, "dropped by inet fw deny, policy drop");
  lab.must(Host::gateway, found->remedy);
  EXPECT_EQ(connect_once(lab, Host::client, {range.address, 8443}).text, "primary");
}

TEST_F(TraceTableLife, AClientOnTheGatewayIsTraced) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  lab.must(Host::gateway, "nft 'add table inet fw; add chain inet fw out { type filter hook output priority 0; }; "
                          "add rule inet fw out tcp dport 8443 ct status dnat drop'");
  const Vip vip = traced_vip();
  const auto found = culprit(trace_connect(lab, {.client = Host::gateway, .address = vip.address}), vip);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->what, testing::StartsWith("dropped by inet fw out rule 1 (handle "));
  EXPECT_THAT(found->seen_by, HasSubstr("on this machine"));
}

TEST_F(TraceTableLife, NobodyElseIsTracedAndNothingIsAnEvent) {
  Hanatd hanatd{lab, fast_service(), {.arguments = {"--shared-table"}}};
  wait_both_up(hanatd);
  const TraceResult result = trace_on_gateway(lab, {.limit = milliseconds{600}}, [&] {
    for (int count = 0; count < 5; ++count) connect_once(lab, Host::bystander, Lab::vip(443));
  });
  EXPECT_EQ(result.error, "");
  EXPECT_TRUE(result.packets.empty());
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("was changed")));
  EXPECT_EQ(hanatd.status().daemon.kernel, "in-step");
}

TEST_F(TraceTableLife, ThirtyThousandRulesOfOthersDoNotSlowIt) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  lab.must(Host::gateway, "(echo 'add table ip others'; echo 'add chain ip others c'; for i in $(seq 30000); do "
                          "echo \"add rule ip others c ip saddr 192.0.2.1 tcp dport $((i)) accept\"; done) | nft -f -");
  lab.must(Host::gateway, forward_drops);
  const auto began = TestClock::now();
  const Vip vip = traced_vip();
  const auto found = culprit(trace_connect(lab, {}, milliseconds{100}), vip);
  const auto took = std::chrono::duration_cast<milliseconds>(TestClock::now() - began);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what, "dropped by inet fw deny, policy drop");
  fmt::print("named beside 30,000 rules of others in {} ms\n", took.count());
  EXPECT_LT(took, milliseconds{1000});
}

TEST_F(TraceTableLife, EightClientsAtOnceAndNotNine) {
  lab.in(Host::gateway, [&] {
    uv_loop_t loop{};
    uv_loop_init(&loop);
    std::size_t done = 0;
    {
      Tracer tracer{&loop, "hanat"};
      std::vector<Tracer::Id> ids;
      for (std::uint16_t port = 1; port <= 9; ++port) {
        const auto id =
            tracer.start({.traced = {Lab::address(Host::client), traced_vip(Family::ipv4, port)}, .limit = milliseconds{200}},
                         [&](const TraceResult& result) { done += result.error.empty() && result.packets.empty() ? 1U : 100U; });
        EXPECT_EQ(id.has_value(), port <= Tracer::at_most);
        if (id) ids.push_back(*id);
      }
      tracer.cancel(ids.front());
      uv_run(&loop, UV_RUN_DEFAULT);
      EXPECT_EQ(done, Tracer::at_most - 1);
      EXPECT_THAT(tables(), Not(HasSubstr("_trace")));
      tracer.start({.traced = {Lab::address(Host::client), traced_vip()}}, [&](const TraceResult&) { ADD_FAILURE(); });
    }
    EXPECT_THAT(tables(), Not(HasSubstr("_trace"))) << "it ends with the tracer";
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  });
}

} // namespace
} // namespace hanat::test
