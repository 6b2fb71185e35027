// Dialogues over TCP with hostile and hanging servers: what holds for the conversation of any kind, and what differs between them.
#include <array>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/netns/probing.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using probes::Answer;
using probes::Kind;
using probes::Outcome;
using probes::Pattern;
using probes::Reason;

constexpr std::array dialogue_kinds{Kind::tcp, Kind::tls, Kind::redis, Kind::postgres, Kind::mysql, Kind::smtp};

probes::Question dialogue_question(const Endpoint& server, Kind kind, std::chrono::milliseconds timeout = 200ms) {
  auto question = tcp_question(server, timeout);
  question.spec.kind = kind;
  if (kind == Kind::tcp) question.spec.edit<probes::TalkSpec>() = {.send = "hello\n", .expect = Pattern::text("welcome")};
  return question;
}
Answer converse_with(const ScriptedServer& server, Kind kind = Kind::tcp, std::chrono::milliseconds timeout = 200ms) {
  return ask_once(dialogue_question(server.endpoint(), kind, timeout));
}

TEST(ProbeConversation, TheRightWordsAreAnswered) {
  isolated([] {
    ScriptedServer server{
        [](Client& client) { client.send("you are welc") && (client.hold(20ms), client.send("ome")) && client.read_to_reset(); }};
    const Answer answer = converse_with(server);
    EXPECT_EQ(answer.outcome, Outcome::normal) << answer.detail;
    EXPECT_EQ(answer.reason, Reason::answered);
    EXPECT_GE(answer.latency, 20ms);
    auto slow = dialogue_question(server.endpoint(), Kind::tcp);
    slow.spec.slow = 5ms;
    EXPECT_EQ(ask_once(slow).reason, Reason::slow);
  });
}

TEST(ProbeConversation, WhatIsSentIsSentWhole) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      std::string request;
      if (client.read_request(&request) && request.size() == 4'096) client.send("welcome");
      client.hold();
    }};
    auto question = dialogue_question(server.endpoint(), Kind::tcp, 1s);
    question.spec.edit<probes::TalkSpec>().send = std::string(4'092, 'x') + "\r\n\r\n";
    EXPECT_EQ(ask_once(question).reason, Reason::answered);
  });
}

TEST(ProbeConversation, ASilentServerIsJudgedAtTheDeadlineAndSaysHowFarItCame) {
  isolated([] {
    ScriptedServer server{[](Client& client) { client.hold(); }};
    Probing probing;
    for (const Kind kind : dialogue_kinds) probing.engine->add(dialogue_question(server.endpoint(), kind), {.interval = 1h}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == dialogue_kinds.size(); }));
    for (const auto& [id, answer] : probing.heard) {
      EXPECT_EQ(answer.reason, Reason::timeout);
      EXPECT_TRUE(at_deadline(answer.latency, 200ms));
      EXPECT_NE(answer.detail, "");
      EXPECT_NE(answer.detail, "no connection");
    }
  });
}

TEST(ProbeConversation, AByteNowAndThenEndsAtTheAbsoluteDeadline) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      while (client.send("2")) client.hold(15ms);
    }};
    Probing probing;
    const std::array patient{Kind::tcp, Kind::redis, Kind::smtp}; // to whom twos are no nonsense yet
    for (const Kind kind : patient) probing.engine->add(dialogue_question(server.endpoint(), kind), {.interval = 1h}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == patient.size(); }));
    for (const auto& [id, answer] : probing.heard) {
      EXPECT_EQ(answer.reason, Reason::timeout) << answer.detail;
      EXPECT_TRUE(at_deadline(answer.latency, 200ms));
    }
  });
}

TEST(ProbeConversation, EndlessWordsAreBrokenOff) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      while (client.send(std::string(8'192, 'S')))
        ;
    }};
    const std::pair<Kind, Reason> cases[] = {{Kind::tcp, Reason::wrong_answer}, {Kind::tls, Reason::tls_failed},
                                             {Kind::redis, Reason::garbled},    {Kind::postgres, Reason::garbled},
                                             {Kind::mysql, Reason::garbled},    {Kind::smtp, Reason::garbled}};
    for (const auto& [kind, reason] : cases) {
      const Answer answer = converse_with(server, kind, 5s);
      EXPECT_EQ(answer.reason, reason) << to_text(kind) << ' ' << answer.detail;
      EXPECT_LT(answer.latency, 2s);
      EXPECT_LE(answer.detail.size(), 80U);
    }
  });
}

TEST(ProbeConversation, AnEarlyEndIsClosedOrReset) {
  isolated([] {
    ScriptedServer closing{[](Client&) {}}; // before it reads what it is sent: also with RST
    ScriptedServer silent_reset{[](Client& client) { client.leave_by_reset(); }};
    ScriptedServer half{[](Client& client) { client.read_request() && client.send("wel"); }};
    for (const Kind kind : dialogue_kinds) {
      const Reason reason = converse_with(closing, kind, 1s).reason;
      EXPECT_TRUE(reason == Reason::closed || reason == Reason::reset) << to_text(kind) << ' ' << to_text(reason);
      EXPECT_EQ(converse_with(silent_reset, kind, 1s).reason, Reason::reset) << to_text(kind);
    }
    auto question = dialogue_question(half.endpoint(), Kind::tcp, 1s);
    question.spec.edit<probes::TalkSpec>().send = "\r\n\r\n";
    const Answer answer = ask_once(question);
    EXPECT_EQ(answer.reason, Reason::closed);
    EXPECT_EQ(answer.detail, "answer not complete");
  });
}

TEST(ProbeConversation, TheLastWordsBeforeAResetAreHeard) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      client.send("421 too busy\r\n");
      client.hold(10ms);
      client.leave_by_reset();
    }};
    const Answer answer = converse_with(server, Kind::smtp, 1s);
    EXPECT_EQ(answer.reason, Reason::wrong_answer);
    EXPECT_EQ(answer.detail, "421 too busy");
  });
}

TEST(ProbeConversation, WordsOfAServerCannotSteerATerminal) {
  isolated([] {
    ScriptedServer server{
        [](Client& client) { client.send("-ERR \x1b]0;x\x07" + std::string(200, 'y') + "\r\n") && client.read_to_reset(); }};
    const Answer answer = converse_with(server, Kind::redis, 1s);
    EXPECT_EQ(answer.reason, Reason::wrong_answer);
    EXPECT_EQ(answer.detail, "ERR ?]0;x?" + std::string(70, 'y'));
  });
}

TEST(ProbeConversation, NobodyListeningAndNoRouteAreKnownAtOnce) {
  isolated([] {
    for (const Kind kind : dialogue_kinds) {
      const Answer refused = ask_once(dialogue_question(at("127.0.0.1", 9), kind));
      EXPECT_EQ(refused.reason, Reason::refused);
      EXPECT_LT(refused.latency, noise);
      EXPECT_EQ(ask_once(dialogue_question(at("198.18.0.1", 9), kind)).reason, Reason::net_unreachable);
    }
  });
}

TEST(ProbeConversation, AStandstillOverTheDeadlineIsBlind) {
  isolated([] {
    ScriptedServer server{[](Client& client) { client.send("welcome") && client.read_to_reset(); }};
    Probing probing;
    probing.engine->add(dialogue_question(server.endpoint(), Kind::tcp, 100ms), {.interval = 1h}, 0s);
    probing.stand_still(300ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.heard.empty(); }));
    EXPECT_EQ(probing.heard[0].answer.reason, Reason::stalled) << to_text(probing.heard[0].answer.reason);
    EXPECT_EQ(probing.heard[0].answer.outcome, Outcome::blind);
  });
}

TEST(ProbeConversation, AQuestionUnderWayIsCancelled) {
  isolated([] {
    ScriptedServer server{[](Client& client) { client.hold(); }};
    Probing probing; // its end fails the test when a handle is left
    const auto id = probing.engine->add(dialogue_question(server.endpoint(), Kind::redis, 5s), {.interval = 1h}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.engine->under_way() == 1 && server.connections() == 1; }));
    probing.engine->remove(id);
    probing.run_for(20ms);
    EXPECT_TRUE(probing.heard.empty());
  });
}

} // namespace
} // namespace hanat::test
