// The tcp kind and the errors of sockets, asked of a real kernel.
#include <fstream>
#include <future>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/netns/probing.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Answer;
using probes::Outcome;
using probes::Reason;

/// Sockets of this namespace in TIME_WAIT.
int time_waits() {
  int count = 0;
  for (const char* file : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
    std::ifstream table{file};
    for (std::string line; std::getline(table, line);)
      if (line.size() > 36 && line.find(" 06 ", 20) != std::string::npos) ++count;
  }
  return count;
}

void drop(const std::string& hook, const std::string& match) {
  shell("nft 'add table inet t; add chain inet t c { type filter hook " + hook + " priority 0; }; add rule inet t c " + match + "'");
}

TEST(ProbeTcp, AListenerIsConnectedAndLeftByReset) {
  isolated([] {
    std::promise<bool> reset;
    ScriptedServer server{[&](Client& client) { reset.set_value(client.read_to_reset()); }};
    const Answer answer = ask_once(tcp_question(server.endpoint()));
    EXPECT_EQ(answer.outcome, Outcome::normal);
    EXPECT_EQ(answer.reason, Reason::connected);
    EXPECT_LT(answer.latency, noise);
    EXPECT_TRUE(reset.get_future().get());
    EXPECT_EQ(time_waits(), 0);
  });
}

TEST(ProbeTcp, Ipv6IsAskedToo) {
  isolated([] {
    ScriptedServer server{{}, "::1"};
    EXPECT_EQ(ask_once(tcp_question(server.endpoint())).reason, Reason::connected);
  });
}

TEST(ProbeTcp, NobodyListeningIsRefusedAtOnce) {
  isolated([] {
    for (const char* address : {"127.0.0.1", "::1"}) {
      const Answer answer = ask_once(tcp_question(at(address, 9)));
      EXPECT_EQ(answer.outcome, Outcome::abnormal);
      EXPECT_EQ(answer.reason, Reason::refused);
      EXPECT_LT(answer.latency, noise);
    }
  });
}

TEST(ProbeTcp, ASilentServerIsJudgedAtTheDeadline) {
  isolated([] {
    ScriptedServer server{{}};
    drop("input", "tcp dport " + std::to_string(server.endpoint().port) + " drop");
    for (const auto timeout : {5ms, 50ms, 400ms}) {
      const Answer answer = ask_once(tcp_question(server.endpoint(), timeout));
      EXPECT_EQ(answer.outcome, Outcome::abnormal);
      EXPECT_EQ(answer.reason, Reason::timeout);
      EXPECT_TRUE(at_deadline(answer.latency, timeout));
    }
  });
}

TEST(ProbeTcp, NoRouteIsKnownAtOnce) {
  isolated([] {
    for (const char* address : {"198.18.0.1", "2001:db8::1"}) {
      const Answer answer = ask_once(tcp_question(at(address, 80)));
      EXPECT_EQ(answer.outcome, Outcome::abnormal);
      EXPECT_EQ(answer.reason, Reason::net_unreachable);
      EXPECT_LT(answer.latency, noise);
    }
  });
}

TEST(ProbeTcp, ABlackholeRouteIsNoRoute) {
  isolated([] {
    shell("ip route add blackhole 198.18.0.0/24 && ip route add blackhole 2001:db8::/32");
    for (const char* address : {"198.18.0.1", "2001:db8::1"})
      for (const auto kind : {probes::Kind::tcp, probes::Kind::http}) {
        const Answer answer = ask_once(http_question(at(address, 80), 300ms, kind));
        EXPECT_EQ(answer.reason, Reason::net_unreachable) << address << ' ' << to_text(answer.reason) << ' ' << answer.detail;
      }
  });
}

TEST(ProbeTcp, AnUnreachableRouteIsAnUnreachableHost) {
  isolated([] {
    shell("ip route add unreachable 198.18.0.0/24");
    EXPECT_EQ(ask_once(tcp_question(at("198.18.0.1", 80))).reason, Reason::host_unreachable);
  });
}

TEST(ProbeTcp, AnIcmpAnswerIsTheWayToTheServer) {
  isolated([] {
    drop("input", "tcp dport 81 reject with icmp type host-unreachable");
    shell("nft 'add rule inet t c tcp dport 82 reject with icmp type port-unreachable; add rule inet t c tcp dport 83 reject with icmpv6 "
          "type "
          "admin-prohibited; add rule inet t c tcp dport 84 reject with tcp reset'");
    EXPECT_EQ(ask_once(tcp_question(at("127.0.0.1", 81))).reason, Reason::host_unreachable);
    EXPECT_EQ(ask_once(tcp_question(at("127.0.0.1", 82))).reason, Reason::refused);
    EXPECT_EQ(ask_once(tcp_question(at("::1", 83), 2s)).reason,
              Reason::host_unreachable); // the errno is EACCES; on loopback after the second SYN
    EXPECT_EQ(ask_once(tcp_question(at("::1", 84))).reason, Reason::refused);
  });
}

TEST(ProbeTcp, AProhibitRouteOfOurOwnIsBlind) {
  isolated([] {
    shell("ip route add prohibit 198.18.0.0/24");
    const Answer answer = ask_once(tcp_question(at("198.18.0.1", 80)));
    EXPECT_EQ(answer.outcome, Outcome::blind);
    EXPECT_EQ(answer.reason, Reason::forbidden);
  });
}

// The kernel keeps to itself that its own firewall dropped the SYN: connect() goes on and sends it again.
TEST(ProbeTcp, ADropInOurOwnOutputLooksLikeSilence) {
  isolated([] {
    drop("output", "tcp dport 80 drop");
    EXPECT_EQ(ask_once(tcp_question(at("127.0.0.1", 80), 100ms)).reason, Reason::timeout);
  });
}

TEST(ProbeTcp, AForeignSourceIsBlind) {
  isolated([] {
    auto question = tcp_question(at("127.0.0.1", 80));
    question.spec.source = Address::parse("198.18.0.77");
    const Answer answer = ask_once(question);
    EXPECT_EQ(answer.outcome, Outcome::blind);
    EXPECT_EQ(answer.reason, Reason::no_ports);
  });
}

TEST(ProbeTcp, TheSourceIsUsed) {
  isolated([] {
    std::promise<std::string> peer;
    ScriptedServer server{[&](Client& client) { peer.set_value(client.peer().text()); }};
    auto question = tcp_question(server.endpoint());
    question.spec.source = Address::parse("127.0.0.77");
    EXPECT_EQ(ask_once(question).reason, Reason::connected);
    EXPECT_EQ(peer.get_future().get(), "127.0.0.77");
  });
}

TEST(ProbeTcp, RunningOutOfDescriptorsIsBlindAndPasses) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    const auto question = tcp_question(server.endpoint());
    probing.engine->add(question, {.interval = 20ms}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 1; }));
    EXPECT_EQ(probing.heard[0].answer.outcome, Outcome::normal);

    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    probing.run_until([&] { return probing.heard.size() >= 4; });
    setrlimit(RLIMIT_NOFILE, &before);
    ASSERT_GE(probing.heard.size(), 4U);
    EXPECT_EQ(probing.heard[3].answer.outcome, Outcome::blind);
    EXPECT_EQ(probing.heard[3].answer.reason, Reason::no_descriptors);

    probing.heard.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() >= 2; }));
    EXPECT_EQ(probing.heard[1].answer.outcome, Outcome::normal);
  });
}

TEST(ProbeTcp, ARightAnswerLaterThanSlowIsAbnormal) {
  isolated([] {
    ScriptedServer server{{}};
    auto question = tcp_question(server.endpoint());
    question.spec.slow = 1ns;
    const Answer answer = ask_once(question);
    EXPECT_EQ(answer.outcome, Outcome::abnormal);
    EXPECT_EQ(answer.reason, Reason::slow);
  });
}

TEST(ProbeTcp, AnAnswerThatCameWhileWeStoodStillIsJudgedByTheKernelsClock) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    probing.engine->add(tcp_question(server.endpoint(), 200ms), {.interval = 60s}, 0s);
    probing.stand_still(700ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.heard.empty(); }));
    EXPECT_EQ(probing.heard[0].answer.outcome, Outcome::normal);
    EXPECT_LE(probing.heard[0].answer.latency, noise);
  });
}

TEST(ProbeTcp, SilenceWhileWeStoodStillIsBelievedOnlyAfterASecondSpan) {
  isolated([] {
    drop("input", "tcp dport 80 drop");
    Probing probing;
    probing.engine->add(tcp_question(at("127.0.0.1", 80), 200ms), {.interval = 60s}, 0s);
    probing.stand_still(500ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.heard.empty(); }));
    EXPECT_EQ(probing.heard[0].answer.reason, Reason::timeout);
    EXPECT_TRUE(at_deadline(probing.heard[0].answer.latency, 700ms));
  });
}

TEST(ProbeTcp, AMillisecondIntervalDoesNotRunOutOfPorts) {
  isolated([] {
    // 200 ports for 4,000 questions: without the reset they would all be in TIME_WAIT after a fifth of a second.
    shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40199'");
    ScriptedServer server{{}};
    Probing probing;
    auto question = tcp_question(server.endpoint());
    question.spec.source = Address::parse("127.0.0.1");
    probing.engine->add(question, {.interval = 1ms}, 0s);
    probing.run_for(4s);
    unsigned normal = 0;
    for (const auto& heard : probing.heard) normal += heard.answer.outcome == Outcome::normal ? 1U : 0U;
    EXPECT_EQ(normal, probing.heard.size());
    EXPECT_GT(probing.engine->lateness().asked + probing.engine->lateness().skipped, 3800U);
    EXPECT_GT(normal, 1000U); // what a busy machine leaves of it is still five times the ports
    EXPECT_EQ(time_waits(), 0);
    print_lateness(probing, "one question a millisecond for 4 s over 200 ports");
  });
}

} // namespace
} // namespace hanat::test
