// The engine against real sockets: pace, bounds, cancelling, standstills, load.
#include <algorithm>
#include <array>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/netns/probing.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Answer;
using probes::Outcome;
using probes::QuestionId;
using probes::Reason;

const auto hold = [](Client& client) { client.hold(); };

TEST(ProbeEngine, QuestionsStartOnTheirGridWithoutDrift) {
  isolated([] {
    Probing probing;
    probing.engine->add(tcp_question(at("127.0.0.1", 9)), {.interval = 20ms}, 0s);
    probing.run_for(2010ms);
    const auto& lateness = probing.engine->lateness();
    EXPECT_GE(lateness.asked + lateness.skipped, 100U); // 20.3 ms from answer to answer would give 98
    EXPECT_LE(lateness.asked + lateness.skipped, 102U);
  });
}

TEST(ProbeEngine, AtNormalPaceOneQuestionIsUnderWay) {
  isolated([] {
    ScriptedServer server{hold};
    Probing probing;
    probing.engine->add(http_question(server.endpoint(), 100ms), {.interval = 10ms}, 0s);
    std::size_t peak = 0;
    const auto end = probes::Clock::now() + 1050ms;
    probing.run_until([&] {
      peak = std::max(peak, probing.engine->under_way());
      return probes::Clock::now() >= end;
    });
    EXPECT_EQ(peak, 1U);
    EXPECT_LE(server.peak(), 2U);        // the server may see the new connection before the end of the old one
    EXPECT_GE(probing.heard.size(), 7U); // the next starts as soon as the last is judged
    EXPECT_LE(probing.heard.size(), 10U);
  });
}

TEST(ProbeEngine, InABurstSoManyAreUnderWayAsWasSaid) {
  isolated([] {
    ScriptedServer server{hold};
    Probing probing;
    const auto id = probing.engine->add(http_question(server.endpoint(), 300ms), {.interval = 10s}, 0s);
    probing.run_until([&] { return probing.engine->under_way() == 1; });
    probing.engine->pace(id, {.interval = 20ms, .in_flight = 3});
    probing.run_for(600ms);
    EXPECT_GE(server.peak(), 3U);
    EXPECT_LE(server.peak(), 4U); // as above
    EXPECT_GE(probing.heard.size(), 3U);
  });
}

TEST(ProbeEngine, AFasterPaceCountsFromTheLastStart) {
  isolated([] {
    Probing probing;
    const auto id = probing.engine->add(tcp_question(at("127.0.0.1", 9)), {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 1; }));
    const auto began = probes::Clock::now();
    probing.engine->pace(id, {.interval = 200ms});
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 2; }));
    EXPECT_GE(probes::Clock::now() - began, 180ms);
    EXPECT_LE(probes::Clock::now() - began, 200ms + noise);
    probing.run_for(100ms);
    const auto again = probes::Clock::now();
    probing.engine->pace(id, {.interval = 50ms}); // already over since the last start
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 3; }));
    EXPECT_LE(probes::Clock::now() - again, noise);
  });
}

TEST(ProbeEngine, TheSamePaceAgainChangesNothing) {
  isolated([] {
    Probing probing;
    const auto id = probing.engine->add(tcp_question(at("127.0.0.1", 9)), {.interval = 50ms}, 0s);
    const auto end = probes::Clock::now() + 520ms;
    probing.run_until([&] {
      probing.engine->pace(id, {.interval = 50ms});
      return probes::Clock::now() >= end;
    });
    EXPECT_GE(probing.heard.size(), 9U);
    EXPECT_LE(probing.heard.size(), 11U);
  });
}

TEST(ProbeEngine, AskNowAsksInTheNextRoundAndNeverFromInside) {
  isolated([] {
    Probing probing;
    const auto id = probing.engine->add(tcp_question(at("198.18.0.1", 9)), {.interval = 60s}, 60s);
    probing.engine->ask_now(id);
    EXPECT_TRUE(probing.heard.empty()); // though the answer (no route) is known at once
    uv_run(&probing.loop, UV_RUN_NOWAIT);
    ASSERT_EQ(probing.heard.size(), 1U);
    EXPECT_EQ(probing.heard[0].id, id);
    EXPECT_EQ(probing.heard[0].answer.reason, Reason::net_unreachable);
  });
}

TEST(ProbeEngine, AskNowWaitsForItsTurn) {
  isolated([] {
    ScriptedServer server{hold};
    Probing probing;
    const auto id = probing.engine->add(http_question(server.endpoint(), 200ms), {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.engine->under_way() == 1; }));
    for (int again = 0; again < 5; ++again) probing.engine->ask_now(id);
    probing.run_for(700ms);
    EXPECT_EQ(probing.heard.size(), 2U);
    EXPECT_EQ(server.connections(), 2U);
  });
}

TEST(ProbeEngine, ARemovedQuestionIsNeverAnswered) {
  isolated([] {
    ScriptedServer silent{hold};
    Probing probing;
    std::vector<QuestionId> ids;
    for (int count = 0; count < 50; ++count) {
      ids.push_back(probing.engine->add(http_question(silent.endpoint(), 200ms), {.interval = 10ms, .in_flight = 3}, 10ms));
      ids.push_back(probing.engine->add(tcp_question(at("127.0.0.1", 9)), {.interval = 1ms}, 10ms));
    }
    probing.run_for(100ms);
    EXPECT_GT(probing.engine->under_way(), 0U);
    for (const auto id : ids) probing.engine->remove(id);
    EXPECT_EQ(probing.engine->under_way(), 0U);
    probing.heard.clear();
    probing.run_for(300ms);
    EXPECT_TRUE(probing.heard.empty());
  });
}

TEST(ProbeEngine, TheAnswerMayRemoveAddAndPaceAnyQuestion) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    std::map<QuestionId, Endpoint> live;
    const auto add = [&](const Endpoint& endpoint, probes::Kind kind) {
      live.emplace(probing.engine->add(http_question(endpoint, 50ms, kind), {.interval = 2ms, .in_flight = 2}, 2ms), endpoint);
    };
    using enum probes::Kind;
    const std::array kinds{tcp, http, https, icmp, udp, dns, grpc};
    unsigned turn = 0;
    probing.on_answer = [&](QuestionId id, const Answer&) {
      EXPECT_TRUE(live.contains(id)) << "an answer to a removed question";
      ++turn;
      const auto other = std::next(live.begin(), static_cast<long>(turn % live.size()))->first;
      probing.engine->pace(other, {.interval = std::chrono::milliseconds{1 + turn % 5}, .in_flight = 1 + turn % 3});
      probing.engine->ask_now(id);
      const auto victim = turn % 3 == 0 ? id : other;
      probing.engine->remove(victim);
      live.erase(victim);
      add(turn % 2 == 0 ? server.endpoint() : at("127.0.0.1", 9), kinds[turn % kinds.size()]);
      probing.engine->remove(victim); // twice is once
    };
    for (unsigned count = 0; count < 30; ++count) add(server.endpoint(), kinds[count % kinds.size()]);
    probing.run_for(1s);
    EXPECT_GT(turn, 300U);
    EXPECT_EQ(live.size(), 30U);
  });
}

TEST(ProbeEngine, ManyWhoAskTheSameShareOneQuestionAndAllHearItsAnswers) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    std::map<QuestionId, std::size_t> heard;
    std::vector<QuestionId> askers;
    for (int count = 0; count < 1000; ++count)
      askers.push_back(probing.engine->add(tcp_question(server.endpoint()), {.interval = 100ms}, 0s));
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() >= 10 * askers.size(); }));
    for (const auto& [id, answer] : probing.heard) ++heard[id];
    EXPECT_EQ(heard.size(), askers.size());
    for (const auto& [id, times] : heard) EXPECT_EQ(times, 10U);
    EXPECT_EQ(probing.engine->lateness().asked, 10U);
    EXPECT_LE(server.connections(), 10U);
  });
}

TEST(ProbeEngine, ASharedQuestionIsAskedAtThePaceOfWhoWantsItFastest) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    const auto question = tcp_question(server.endpoint());
    const auto slow = probing.engine->add(question, {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 1; }));
    const auto fast = probing.engine->add(question, {.interval = 20ms}, 60s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() >= 21; }, 2s)) << "ten times for both";
    EXPECT_EQ(&probing.engine->question(slow), &probing.engine->question(fast));
    probing.engine->remove(fast);
    probing.heard.clear();
    probing.run_for(100ms);
    EXPECT_LE(probing.heard.size(), 1U); // slow again
    probing.engine->ask_now(slow);
    ASSERT_TRUE(probing.run_until([&] { return !probing.heard.empty(); }));
    EXPECT_EQ(probing.heard.back().id, slow);
    probing.engine->remove(slow);
    EXPECT_EQ(probing.engine->under_way(), 0U);
  });
}

TEST(ProbeEngine, WhoIsToldMayEndTheQuestionForAllOthers) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    std::vector<QuestionId> askers;
    for (int count = 0; count < 5; ++count) askers.push_back(probing.engine->add(tcp_question(server.endpoint()), {.interval = 5ms}, 0s));
    probing.on_answer = [&](QuestionId, const Answer&) {
      for (const QuestionId id : std::exchange(askers, {})) probing.engine->remove(id);
    };
    ASSERT_TRUE(probing.run_until([&] { return !probing.heard.empty(); }));
    probing.run_for(50ms);
    EXPECT_EQ(probing.heard.size(), 1U);
  });
}

TEST(ProbeEngine, AStandstillIsNotMadeUpFor) {
  isolated([] {
    Probing probing;
    for (std::size_t count = 0; count < 100; ++count)
      probing.engine->add(variant(tcp_question(at("127.0.0.1", 9)), count), {.interval = 200ms}, 1s);
    probing.run_for(400ms);
    probing.stand_still(2s);
    probing.heard.clear();
    const auto asked = probing.engine->lateness().asked;
    probing.run_for(195ms);
    EXPECT_LE(probing.engine->lateness().asked - asked, 150U); // once each, spread as before, not eleven times
    EXPECT_GE(probing.engine->lateness().asked - asked, 80U);
    EXPECT_GE(probing.engine->lateness().skipped, 800U);
  });
}

TEST(ProbeEngine, ManyQuestionsDoNotStartTogether) {
  isolated([] {
    Probing probing;
    for (std::size_t count = 0; count < 2000; ++count)
      probing.engine->add(variant(tcp_question(at("127.0.0.1", 9)), count), {.interval = 10s}, 1s);
    std::array<std::size_t, 10> heard{};
    for (auto& slice : heard) {
      const auto before = probing.heard.size();
      probing.run_for(100ms);
      slice = probing.heard.size() - before;
    }
    EXPECT_GE(std::ranges::count_if(heard, [](std::size_t slice) { return slice > 20; }), 4)
        << "200 each where the machine has nothing else to do";
    EXPECT_GT(probing.heard.size(), 1800U);
  });
}

TEST(ProbeEngine, ItsEndCancelsEverything) {
  isolated([] {
    ScriptedServer silent{hold};
    using enum probes::Kind;
    for (const auto kind : {tcp, http, https, icmp, udp, dns, grpc}) {
      Probing probing;
      for (std::size_t count = 0; count < 20; ++count)
        probing.engine->add(variant(http_question(silent.endpoint(), 5s, kind), count), {.interval = 5ms, .in_flight = 3}, 0s);
      probing.run_for(50ms);
    }
  });
}

TEST(ProbeEngine, TwoThousandTcpQuestionsASecondAreHeld) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    for (std::size_t count = 0; count < 2000; ++count)
      probing.engine->add(variant(tcp_question(server.endpoint(), 500ms), count), {.interval = 1s}, 1s);
    rusage before{}, after{};
    getrusage(RUSAGE_THREAD, &before);
    probing.run_for(3s);
    getrusage(RUSAGE_THREAD, &after);
    const auto cpu = [](const rusage& usage) {
      return std::chrono::seconds{usage.ru_utime.tv_sec + usage.ru_stime.tv_sec} +
             std::chrono::microseconds{usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
    };
    print_lateness(probing, "2,000 tcp questions a second for 3 s");
    std::printf("  cpu of the loop's thread: %.1f %%\n", std::chrono::duration<double>(cpu(after) - cpu(before)).count() / 3 * 100);
    const auto normal = std::ranges::count_if(probing.heard, [](const auto& heard) { return heard.answer.outcome == Outcome::normal; });
    EXPECT_EQ(static_cast<std::size_t>(normal), probing.heard.size());
    EXPECT_GE(normal, 4800);
  });
}

} // namespace
} // namespace hanat::test
