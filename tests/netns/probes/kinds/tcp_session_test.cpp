// TCP sessions with hostile and hanging servers: what all kinds have in common, and what differs.
// Not here: what replies mean (unit tests of kinds/protocol), real servers (real_servers_test).
#include <array>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using probes::Kind;
using probes::Outcome;
using probes::Pattern;
using probes::ProbeResult;
using probes::Reason;

constexpr std::array session_kinds{Kind::tcp, Kind::tls, Kind::redis, Kind::postgres, Kind::mysql, Kind::smtp, Kind::agent};

probes::Probe protocol_probe(const Endpoint& server, Kind kind, std::chrono::milliseconds timeout = 200ms) {
  auto probe = tcp_probe(server, timeout);
  probe.spec.kind = kind;
  if (kind == Kind::tcp) probe.spec.edit<probes::SendExpectSpec>() = {.send = "hello\n", .expect = Pattern::text("welcome")};
  return probe;
}
ProbeResult run_session(const ScriptedServer& server, Kind kind = Kind::tcp, std::chrono::milliseconds timeout = 200ms) {
  return probe_once(protocol_probe(server.endpoint(), kind, timeout));
}

TEST(TcpSession, TheExpectedReplyPasses) {
  isolated([] {
    ScriptedServer server{
        [](Client& client) { client.send("you are welc") && (client.hold(20ms), client.send("ome")) && client.read_until_reset(); }};
    const ProbeResult result = run_session(server);
    EXPECT_EQ(result.outcome, Outcome::pass) << result.detail;
    EXPECT_EQ(result.reason, Reason::answered);
    EXPECT_GE(result.latency, 20ms);
    auto slow = protocol_probe(server.endpoint(), Kind::tcp);
    slow.spec.slow = 5ms;
    EXPECT_EQ(probe_once(slow).reason, Reason::slow);
  });
}

TEST(TcpSession, LongBytesAreSentCompletely) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      std::string request;
      if (client.read_request(&request) && request.size() == 4'096) client.send("welcome");
      client.hold();
    }};
    auto probe = protocol_probe(server.endpoint(), Kind::tcp, 1s);
    probe.spec.edit<probes::SendExpectSpec>().send = std::string(4'092, 'x') + "\r\n\r\n";
    EXPECT_EQ(probe_once(probe).reason, Reason::answered);
  });
}

TEST(TcpSession, ASilentServerTimesOutAtTheDeadlineWithItsStage) {
  isolated([] {
    ScriptedServer server{[](Client& client) { client.hold(); }};
    Probing probing;
    for (const Kind kind : session_kinds) probing.scheduler->add(protocol_probe(server.endpoint(), kind), {.interval = 1h}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == session_kinds.size(); }));
    for (const auto& [id, result] : probing.results) {
      EXPECT_EQ(result.reason, Reason::timeout);
      EXPECT_TRUE(at_deadline(result.latency, 200ms));
      EXPECT_NE(result.detail, "");
      EXPECT_NE(result.detail, "no connection");
    }
  });
}

TEST(TcpSession, ASlowServerTimesOutAtTheAbsoluteDeadline) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      while (client.send("2")) client.hold(15ms);
    }};
    Probing probing;
    const std::array patient{Kind::tcp, Kind::redis, Kind::smtp}; // for which a row of twos is not garbled yet
    for (const Kind kind : patient) probing.scheduler->add(protocol_probe(server.endpoint(), kind), {.interval = 1h}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == patient.size(); }));
    for (const auto& [id, result] : probing.results) {
      EXPECT_EQ(result.reason, Reason::timeout) << result.detail;
      EXPECT_TRUE(at_deadline(result.latency, 200ms));
    }
  });
}

TEST(TcpSession, AnEndlessReplyIsAborted) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      while (client.send(std::string(8'192, 'S')))
        ;
    }};
    const std::pair<Kind, Reason> cases[] = {{Kind::tcp, Reason::wrong_answer}, {Kind::tls, Reason::tls_failed},
                                             {Kind::redis, Reason::garbled},    {Kind::postgres, Reason::garbled},
                                             {Kind::mysql, Reason::garbled},    {Kind::smtp, Reason::garbled}};
    for (const auto& [kind, reason] : cases) {
      const ProbeResult result = run_session(server, kind, 5s);
      EXPECT_EQ(result.reason, reason) << to_text(kind) << ' ' << result.detail;
      EXPECT_LT(result.latency, 2s);
      EXPECT_LE(result.detail.size(), 120U); // with what to do
    }
  });
}

TEST(TcpSession, AnEarlyCloseIsClosedOrReset) {
  isolated([] {
    ScriptedServer closing{[](Client&) {}}; // without reading: may also be a RST
    ScriptedServer silent_reset{[](Client& client) { client.close_with_reset(); }};
    ScriptedServer half{[](Client& client) { client.read_request() && client.send("wel"); }};
    for (const Kind kind : session_kinds) {
      const Reason reason = run_session(closing, kind, 1s).reason;
      EXPECT_TRUE(reason == Reason::closed || reason == Reason::reset) << to_text(kind) << ' ' << to_text(reason);
      EXPECT_EQ(run_session(silent_reset, kind, 1s).reason, Reason::reset) << to_text(kind);
    }
    auto probe = protocol_probe(half.endpoint(), Kind::tcp, 1s);
    probe.spec.edit<probes::SendExpectSpec>().send = "\r\n\r\n";
    const ProbeResult result = probe_once(probe);
    EXPECT_EQ(result.reason, Reason::closed);
    EXPECT_EQ(result.detail, "incomplete reply");
  });
}

TEST(TcpSession, TheLastLineBeforeAResetIsRead) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      client.send("421 too busy\r\n");
      client.hold(10ms);
      client.close_with_reset();
    }};
    const ProbeResult result = run_session(server, Kind::smtp, 1s);
    EXPECT_EQ(result.outcome, Outcome::full);
    EXPECT_EQ(result.reason, Reason::full);
    EXPECT_EQ(result.detail, "421 too busy");
  });
}

TEST(TcpSession, TextOfAServerIsSanitized) {
  isolated([] {
    ScriptedServer server{
        [](Client& client) { client.send("-ERR \x1b]0;x\x07" + std::string(200, 'y') + "\r\n") && client.read_until_reset(); }};
    const ProbeResult result = run_session(server, Kind::redis, 1s);
    EXPECT_EQ(result.reason, Reason::wrong_answer);
    EXPECT_EQ(result.detail, "ERR ?]0;x?" + std::string(70, 'y'));
  });
}

TEST(TcpSession, AClosedPortAndAMissingRouteAreKnownAtOnce) {
  isolated([] {
    for (const Kind kind : session_kinds) {
      const ProbeResult refused = probe_once(protocol_probe(at("127.0.0.1", 9), kind));
      EXPECT_EQ(refused.reason, Reason::refused);
      EXPECT_LT(refused.latency, noise);
      EXPECT_EQ(probe_once(protocol_probe(at("198.18.0.1", 9), kind)).reason, Reason::net_unreachable);
    }
  });
}

TEST(TcpSession, ASuspensionPastTheDeadlineIsInconclusive) {
  isolated([] {
    ScriptedServer server{[](Client& client) { client.send("welcome") && client.read_until_reset(); }};
    Probing probing;
    probing.scheduler->add(protocol_probe(server.endpoint(), Kind::tcp, 100ms), {.interval = 1h}, 0s);
    probing.block_loop(300ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.results.empty(); }));
    EXPECT_EQ(probing.results[0].result.reason, Reason::stalled) << to_text(probing.results[0].result.reason);
    EXPECT_EQ(probing.results[0].result.outcome, Outcome::inconclusive);
  });
}

TEST(TcpSession, ASessionInFlightIsCancelled) {
  isolated([] {
    ScriptedServer server{[](Client& client) { client.hold(); }};
    Probing probing; // its destructor fails the test when a handle is left
    const auto id = probing.scheduler->add(protocol_probe(server.endpoint(), Kind::redis, 5s), {.interval = 1h}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.scheduler->in_flight() == 1 && server.connections() == 1; }));
    probing.scheduler->remove(id);
    probing.run_for(20ms);
    EXPECT_TRUE(probing.results.empty());
  });
}

} // namespace
} // namespace hanat::test
