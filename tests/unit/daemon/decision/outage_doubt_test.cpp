// The phases of a doubted outage, one by one. Not here: whole outages (failover/outage_simulation_test).
#include "daemon/decision/outage_doubt.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace hanat::outage_doubt {
namespace {

using namespace std::chrono_literals;

constexpr Time start{100h};

probes::ProbeResult failed(probes::Reason reason, Clock::duration latency = 500ms) { return probes::fail_result(reason, latency); }
const probes::ProbeResult passed{.outcome = probes::Outcome::pass, .reason = probes::Reason::connected, .latency = 1ms, .detail = {}};

WayToServer way(std::initializer_list<std::pair<Time, probes::ProbeResult>> results) {
  WayToServer all;
  for (const auto& [at, result] : results) all.record(result, at);
  return all;
}
const WayToServer silent = way({{start - 1s, passed}, {start + 500ms, failed(probes::Reason::timeout)}});
const WayToServer no_path = way({{start - 1s, passed}, {start + 250ms, failed(probes::Reason::no_carrier, 0ms)}});
const WayToServer heard_before = way({{start - 100ms, passed}});
const WayToServer answers = way({{start + 600ms, passed}});
const WayToServer refuses = way({{start - 1s, passed}, {start + 600ms, failed(probes::Reason::refused, 1ms)}});
const WayToServer dead_for_long = way({{start - 1h, failed(probes::Reason::timeout)}});

constexpr Time verdict = start + 700ms;

/// Two servers, the traffic at the first.
struct Outage {
  std::vector<ServerInOutage> servers{{Health::down, silent}, {Health::down, silent}};
  OutageInput input{
      .servers = {}, .current = 0, .refused = false, .pinned = false, .witness = {}, .none_after = 3s, .settle_time = 1s, .window = 10s};
  OutageDoubt doubt;
  OutagePhase at(Time now) {
    input.servers = servers;
    return (doubt = assess_outage(doubt, input, now)).phase;
  }
};

TEST(WayToServer, OfSilenceTheFirstMomentCounts) {
  WayToServer one;
  EXPECT_FALSE(one.is_silent());
  one.record(failed(probes::Reason::timeout), start + 500ms);
  EXPECT_EQ(one.silent_since, start + 250ms) << "the middle of the time in which its answer was waited for";
  one.record(failed(probes::Reason::host_unreachable), start + 5s);
  EXPECT_EQ(one.silent_since, start + 250ms);
  one.record(probes::inconclusive_result(probes::Reason::stalled, 1s), start + 6s);
  EXPECT_EQ(one.silent_since, start + 250ms) << "nothing was learnt";
  one.record(failed(probes::Reason::refused), start + 7s);
  EXPECT_FALSE(one.is_silent());
  EXPECT_TRUE(one.answers_badly);
  EXPECT_EQ(one.heard_at, start + 7s);
  one.record(passed, start + 8s);
  EXPECT_FALSE(one.answers_badly);
}

TEST(WayToServer, OfTwoProbesTheOneThatIsAnsweredCounts) {
  EXPECT_FALSE(merge_ways(silent, answers).is_silent()) << "the machine answers, the service hangs";
  EXPECT_TRUE(merge_ways(silent, heard_before).is_silent()) << "the other has not been sent since";
  EXPECT_EQ(merge_ways(silent, {}), silent);
  EXPECT_FALSE(merge_ways(silent, no_path).no_path);
  EXPECT_TRUE(merge_ways(no_path, no_path).no_path);
  EXPECT_TRUE(merge_ways(answers, refuses).answers_badly);
}

TEST(OutageDoubt, WhenAllFallSilentNothingMovesForNoneAfter) {
  Outage outage;
  EXPECT_EQ(outage.at(verdict), OutagePhase::doubted);
  EXPECT_TRUE(outage.doubt.keeps_target());
  EXPECT_TRUE(outage.doubt.common);
  EXPECT_EQ(outage.doubt.until, verdict + 3s);
  EXPECT_EQ(outage.at(verdict + 3s - 1ms), OutagePhase::doubted);
  EXPECT_EQ(outage.at(verdict + 3s), OutagePhase::confirmed);
  EXPECT_FALSE(outage.doubt.keeps_target());
}

TEST(OutageDoubt, ADefiniteDeathIsNotInDoubt) {
  for (const auto& target : {refuses, answers}) {
    Outage outage;
    outage.servers = {{Health::down, target}, {Health::down, refuses}};
    EXPECT_EQ(outage.at(verdict), OutagePhase::none);
  }
}

TEST(OutageDoubt, NorIsOneWhenAnotherServerHasAnsweredSince) {
  for (const auto& [health, other] : {std::pair{Health::up, answers}, std::pair{Health::down, refuses}}) {
    Outage outage;
    outage.servers[1] = {health, other};
    EXPECT_EQ(outage.at(verdict), OutagePhase::none);
  }
}

TEST(OutageDoubt, TheAnswerOfAServerThatIsUpIsWaitedFor) {
  Outage outage;
  outage.servers[1] = {Health::up, heard_before};
  EXPECT_EQ(outage.at(verdict), OutagePhase::doubted);
  EXPECT_FALSE(outage.doubt.common);
  outage.servers[1].way = answers;
  EXPECT_EQ(outage.at(verdict + 1ms), OutagePhase::none) << "at once";
}

TEST(OutageDoubt, WherePathsAreKnownNobodyIsWaitedFor) {
  Outage outage;
  outage.servers = {{Health::down, no_path}, {Health::up, heard_before}};
  EXPECT_EQ(outage.at(verdict), OutagePhase::none);
  outage.servers[1] = {Health::up, no_path}; // it has failed once
  EXPECT_EQ(outage.at(verdict), OutagePhase::doubted);
  EXPECT_FALSE(outage.doubt.refuses_new);
  outage.servers[1].health = Health::down;
  EXPECT_EQ(outage.at(verdict), OutagePhase::doubted);
  EXPECT_TRUE(outage.doubt.refuses_new) << "new clients need not wait";
}

TEST(OutageDoubt, TheTargetThatAnswersAgainGetsAMomentAndTheOthersDoNotTakeOver) {
  Outage outage;
  ASSERT_EQ(outage.at(verdict), OutagePhase::doubted);
  outage.servers[1] = {Health::up, answers};
  EXPECT_EQ(outage.at(verdict + 1s), OutagePhase::settling);
  EXPECT_TRUE(outage.doubt.keeps_target());
  outage.servers[0].way = answers;
  EXPECT_EQ(outage.at(verdict + 1100ms), OutagePhase::settling);
  outage.servers[0].health = Health::up;
  EXPECT_EQ(outage.at(verdict + 1200ms), OutagePhase::none);
}

TEST(OutageDoubt, TheMomentIsOverWhenTheTargetIsDeadOrSaysNothing) {
  for (const bool dead : {true, false}) {
    Outage outage;
    ASSERT_EQ(outage.at(verdict), OutagePhase::doubted);
    outage.servers[1] = {Health::up, way({{verdict + 1s, passed}})};
    ASSERT_EQ(outage.at(verdict + 1s), OutagePhase::settling);
    if (dead) outage.servers[0].way = refuses;
    EXPECT_EQ(outage.at(verdict + (dead ? 1001ms : 2000ms)), OutagePhase::none);
  }
}

// Probes that were sent in the blackout time out after it, and take servers down that answer again.
const WayToServer back_again = way({{start - 1s, passed},
                                    {start + 500ms, failed(probes::Reason::timeout)},
                                    {start + 650ms, passed},
                                    {start + 700ms, failed(probes::Reason::timeout)}});

TEST(WayToServer, AnAnswerToALaterProbeCountsMoreThanTheSilenceOfAnEarlierOne) {
  EXPECT_FALSE(back_again.is_silent());
  EXPECT_EQ(back_again.fell_silent, start + 250ms);
  EXPECT_EQ(back_again.last_silence, start + 450ms);
}

TEST(OutageDoubt, ATargetThatGoesDownByLateResultsGetsItsMomentOnce) {
  Outage outage;
  outage.servers = {{Health::down, back_again}, {Health::up, back_again}};
  EXPECT_EQ(outage.at(verdict), OutagePhase::settling);
  EXPECT_EQ(outage.at(verdict + 1s), OutagePhase::none);
  EXPECT_EQ(outage.at(verdict + 1s), OutagePhase::none) << "the silence is the same";
  outage.servers[0].way.fell_silent = start + 9s;
  outage.servers[0].way.last_silence = outage.servers[1].way.last_silence = start + 9s;
  EXPECT_EQ(outage.at(verdict + 10s), OutagePhase::settling) << "another one";
}

TEST(OutageDoubt, IfTheOthersHaveAnsweredAllTheTimeItDoesNot) {
  Outage outage;
  outage.servers = {{Health::down, back_again}, {Health::up, answers}};
  EXPECT_EQ(outage.at(verdict), OutagePhase::none);
  outage.servers = {{Health::down, silent}, {Health::up, back_again}, {Health::up, answers}};
  EXPECT_EQ(outage.at(verdict), OutagePhase::none);
  outage.servers.pop_back();
  EXPECT_EQ(outage.at(verdict), OutagePhase::settling) << "the backup is back, and the target may be in a moment";
}

TEST(OutageDoubt, WithoutAnotherServerItDoes) {
  Outage outage;
  outage.servers = {{Health::down, back_again}};
  EXPECT_EQ(outage.at(verdict), OutagePhase::settling);
}

TEST(OutageDoubt, AfterALongOutageTheFirstServerGetsAMomentToo) {
  Outage outage;
  ASSERT_EQ(outage.at(verdict), OutagePhase::doubted);
  ASSERT_EQ(outage.at(verdict + 3s), OutagePhase::confirmed);
  ASSERT_EQ(outage.at(verdict + 4s), OutagePhase::confirmed) << "until the table holds it";
  outage.input.current.reset();
  outage.input.refused = true;
  EXPECT_EQ(outage.at(verdict + 1h), OutagePhase::confirmed);
  outage.servers[1].way = answers;
  EXPECT_EQ(outage.at(verdict + 2h), OutagePhase::returning);
  EXPECT_FALSE(outage.doubt.keeps_target());
  EXPECT_EQ(outage.at(verdict + 2h + 1s - 1ms), OutagePhase::returning);
  EXPECT_EQ(outage.at(verdict + 2h + 1s), OutagePhase::none);
}

TEST(OutageDoubt, AServerThatWasDeadForLongSaysNothing) {
  Outage outage;
  outage.servers[1] = {Health::down, dead_for_long};
  EXPECT_EQ(outage.at(verdict), OutagePhase::doubted);
  EXPECT_FALSE(outage.doubt.common);
}

TEST(OutageDoubt, TheWitness) {
  Outage ours;
  ours.input.witness = silent;
  EXPECT_EQ(ours.at(verdict), OutagePhase::doubted);
  EXPECT_EQ(ours.doubt.until, verdict + 3s) << "from then on new flows are refused";
  EXPECT_FALSE(ours.doubt.refuses_new);
  EXPECT_TRUE(ours.doubt.is_urgent());
  EXPECT_EQ(ours.at(verdict + 3s), OutagePhase::doubted);
  EXPECT_TRUE(ours.doubt.refuses_new);
  EXPECT_EQ(ours.doubt.until, std::nullopt) << "as long as it is silent";
  EXPECT_FALSE(ours.doubt.is_urgent()) << "that may last";
  EXPECT_EQ(ours.at(verdict + 1h), OutagePhase::doubted);
  ours.input.witness = way({{verdict + 1h, passed}});
  EXPECT_EQ(ours.at(verdict + 1h), OutagePhase::doubted) << "the servers may need a moment longer";
  EXPECT_EQ(ours.doubt.until, verdict + 1h + 3s);
  EXPECT_EQ(ours.at(verdict + 1h + 3s), OutagePhase::confirmed);

  Outage theirs;
  theirs.input.witness = answers;
  EXPECT_EQ(theirs.at(verdict), OutagePhase::none);
  theirs.input.witness = heard_before; // not asked since
  EXPECT_EQ(theirs.at(verdict), OutagePhase::doubted);
  theirs.input.witness = answers;
  EXPECT_EQ(theirs.at(verdict + 1ms), OutagePhase::none);

  Outage useless;
  useless.input.witness = dead_for_long;
  EXPECT_EQ(useless.at(verdict), OutagePhase::doubted);
  EXPECT_EQ(useless.doubt.until, verdict + 3s) << "one that never answered is as none";
}

TEST(OutageDoubt, AWitnessThatFallsSilentAgainGivesTheServersTheirTimeAgain) {
  Outage outage;
  outage.input.witness = silent;
  ASSERT_EQ(outage.at(verdict), OutagePhase::doubted);
  outage.input.witness->record(passed, verdict + 10s);
  ASSERT_EQ(outage.at(verdict + 10s), OutagePhase::doubted);
  outage.input.witness->record(failed(probes::Reason::timeout), verdict + 11s);
  ASSERT_EQ(outage.at(verdict + 11s), OutagePhase::doubted);
  outage.input.witness->record(passed, verdict + 60s);
  EXPECT_EQ(outage.at(verdict + 60s), OutagePhase::doubted);
  EXPECT_EQ(outage.doubt.until, verdict + 63s);
  EXPECT_FALSE(outage.doubt.refuses_new);
  EXPECT_EQ(outage.at(verdict + 63s), OutagePhase::confirmed);
}

TEST(OutageDoubt, ATargetThatAnswersNowAndThenProlongsNothing) {
  Outage outage;
  ASSERT_EQ(outage.at(verdict), OutagePhase::doubted);
  Time now = verdict;
  for (; now < verdict + 10s && outage.doubt.keeps_target(); now += 500ms) {
    outage.servers[0].way.record(passed, now + 100ms);
    outage.at(now + 100ms);
    outage.servers[0].way.record(failed(probes::Reason::timeout, 200ms), now + 400ms);
    outage.at(now + 400ms);
  }
  EXPECT_LE(now, verdict + 5s);
}

TEST(OutageDoubt, AfterALongOutageNobodyWaitsForAServerThatWasDeadBefore) {
  for (const WayToServer& first : {dead_for_long, refuses}) {
    Outage outage;
    outage.servers = {{Health::down, first}, {Health::down, silent}};
    outage.input.current = 1;
    ASSERT_EQ(outage.at(verdict), first.is_silent() ? OutagePhase::doubted : OutagePhase::none);
    if (!first.is_silent()) continue;
    ASSERT_EQ(outage.at(verdict + 3s), OutagePhase::confirmed);
    outage.input.current.reset();
    outage.input.refused = true;
    outage.servers[1] = {Health::down, way({{verdict + 5s, passed}})};
    EXPECT_EQ(outage.at(verdict + 5s), OutagePhase::returning) << "it passes and is not up yet";
    outage.servers[1].health = Health::up;
    EXPECT_EQ(outage.at(verdict + 5s + 50ms), OutagePhase::none);
  }
}

TEST(WayToServer, AHandshakeBeforeATimeoutIsAnAnswer) {
  WayToServer one = silent;
  one.record(probes::timeout_result(500ms, "waiting", true), start + 2s);
  EXPECT_FALSE(one.is_silent());
  EXPECT_TRUE(one.answers_badly);
  EXPECT_EQ(one.heard_at, start + 1500ms);
  one.record(failed(probes::Reason::timeout), start + 3s);
  EXPECT_TRUE(one.is_silent()) << "the way was lost behind it";
  one.record(probes::timeout_result(2s, "waiting", true), start + 4s);
  EXPECT_TRUE(one.is_silent()) << "that was asked before the silence";
}

TEST(SilenceCheck, ItIsTheServersOwnOnceAnotherHasAnsweredAndThisOneHasMissedAnAnswerSince) {
  SilenceCheck check;
  WayToServer one = silent;
  std::vector<WayToServer> others{heard_before};
  check.update(one, others, 3s, verdict);
  EXPECT_FALSE(check.is_its_own);
  others[0].record(passed, verdict + 100ms);
  check.update(one, others, 3s, verdict + 100ms);
  EXPECT_FALSE(check.is_its_own) << "its own answer may be on the way";
  one.record(failed(probes::Reason::timeout, 50ms), verdict + 200ms);
  check.update(one, others, 3s, verdict + 200ms);
  EXPECT_TRUE(check.is_its_own);
  one.record(passed, verdict + 300ms);
  check.update(one, others, 3s, verdict + 300ms);
  EXPECT_EQ(check, SilenceCheck{});
}

TEST(SilenceCheck, OrWhenItHasLastedForNoneAfter) {
  SilenceCheck check;
  const std::vector<WayToServer> others{silent};
  check.update(silent, others, 3s, *silent.silent_since + 3s - 1ms);
  EXPECT_FALSE(check.is_its_own);
  check.update(silent, others, 3s, *silent.silent_since + 3s);
  EXPECT_TRUE(check.is_its_own);
}

TEST(OutageDoubt, OffOrPinnedThereIsNone) {
  Outage outage;
  outage.input.none_after = {};
  EXPECT_EQ(outage.at(verdict), OutagePhase::none);
  outage.input.none_after = 3s;
  ASSERT_EQ(outage.at(verdict), OutagePhase::doubted);
  outage.input.pinned = true;
  EXPECT_EQ(outage.at(verdict), OutagePhase::none);
}

} // namespace
} // namespace hanat::outage_doubt
