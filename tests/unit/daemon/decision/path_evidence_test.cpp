// The rule that says when clients get no answer: what begins it, what does not, and what ends it. Not here: what is told of it
// (failover/client_evidence_test), real clients (tests/netns/daemon/failover/path_test).
#include "daemon/decision/path_evidence.hpp"

#include <random>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using PathChange = PathEvidence::Change;

Endpoint client(std::uint16_t port = 40'000, const char* address = "198.18.1.2") {
  return {.address = Address::parse(address).value(), .port = port};
}

class PathEvidenceTest : public testing::Test {
protected:
  PathEvidenceTest() { examined(Examined::Verdict::path); }
  void examined(Examined::Verdict verdict, std::optional<bool> own_client = {}, const Address& of = client().address) {
    evidence.on_examined({.verdict = verdict, .client = of, .saw_client = true, .own_client = own_client}, now);
    evaluate();
  }
  /// The client's SYN of this sequence number comes again at this moment; everything that is due until then happens.
  void repeats(const Endpoint& from, Clock::duration at, std::uint32_t sequence = 7, bool accepted = false) {
    go_to(at);
    evidence.on_repeated_syn({.client = from, .sequence = sequence, .accepted = accepted}, now);
    evaluate();
  }
  void go_to(Clock::duration at) {
    while (const auto due = evidence.next_wakeup()) {
      if (*due > began + at) break;
      now = std::max(now, *due);
      evaluate();
    }
    now = began + at;
  }
  void evaluate() {
    const PathChange change = evidence.evaluate(target, now);
    begun += change == PathChange::begun ? 1 : 0;
    ended += change == PathChange::ended ? 1 : 0;
    if (change == PathChange::begun) begun_at = now - began;
  }

  const Time began{1'000s};
  Time now = began;
  TargetState target = TargetState::passes;
  PathEvidence evidence;
  int begun = 0, ended = 0;
  Clock::duration begun_at{};
};

TEST_F(PathEvidenceTest, AClientWhoseSynComesThreeTimesBeginsItWithinFourSeconds) {
  EXPECT_EQ(evidence.state(now), PathState::no_evidence);
  repeats(client(), 1s);
  repeats(client(), 3s);
  EXPECT_EQ(begun, 0) << "the third may be answered in a moment";
  go_to(4s);
  EXPECT_EQ(begun, 1);
  EXPECT_LE(begun_at, 4s);
  EXPECT_EQ(evidence.state(now), PathState::unanswered);
  EXPECT_EQ(evidence.unanswered(now), 1U);
  EXPECT_EQ(evidence.take_new(), 1U);
  EXPECT_EQ(evidence.take_new(), 0U);
}

TEST_F(PathEvidenceTest, OneThatIsAnsweredAtItsSecondOrThirdSynDoesNot) {
  for (const auto last : {1s, 3s}) {
    repeats(client(), last == 1s ? 1s : 101s);
    if (last == 3s) repeats(client(), 103s);
    evidence.on_answered(client().address, now);
    evaluate();
    go_to(now - began + 90s);
    EXPECT_EQ(begun, 0);
  }
}

TEST_F(PathEvidenceTest, OneRepeatedSynIsNothing) {
  repeats(client(), 1s);
  go_to(30s);
  EXPECT_EQ(begun, 0);
  EXPECT_EQ(evidence.unanswered(now), 1U) << "but it is counted";
  go_to(62s);
  EXPECT_EQ(evidence.unanswered(now), 0U);
  EXPECT_EQ(evidence.next_wakeup(), std::nullopt) << "nothing is remembered";
}

TEST_F(PathEvidenceTest, ThreeConnectionsWhoseClientsGaveUpEarlyBeginItToo) {
  evidence = {};
  for (std::uint16_t number = 0; number < 3; ++number)
    repeats(client(static_cast<std::uint16_t>(40'000 + number), number < 2 ? "198.18.1.2" : "198.18.1.3"), 1s + number * 2s);
  go_to(5s);
  EXPECT_EQ(begun, 0);
  go_to(6s);
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(evidence.unanswered(now), 2U) << "of two clients";
}

TEST_F(PathEvidenceTest, NotWhileClientsAreRefused) {
  evidence.on_refused(client(1, "198.18.1.9").address, now);
  for (std::uint16_t number = 0; number < 5; ++number) repeats(client(static_cast<std::uint16_t>(40'000 + number)), 1s + number * 1s);
  go_to(9s);
  EXPECT_EQ(begun, 0);
  EXPECT_EQ(evidence.refused(now), 1U);
  go_to(62s);
  EXPECT_EQ(evidence.refused(now), 0U);
}

TEST_F(PathEvidenceTest, ARefusalIsAnAnswer) {
  repeats(client(), 1s);
  repeats(client(), 3s);
  evidence.on_refused(client().address, now);
  evaluate();
  go_to(30s);
  EXPECT_EQ(begun, 0);
  EXPECT_EQ(evidence.state(now), PathState::no_evidence) << "but no sign that others get through";
}

TEST_F(PathEvidenceTest, AFixedSourcePortThatConnectsAgainAndAgainIsNotARepeatedSyn) {
  for (std::uint32_t number = 0; number < 1'000; ++number) repeats(client(), number * 1s, number);
  EXPECT_EQ(begun, 0);
}

TEST_F(PathEvidenceTest, CopiesOfAPacketAreNoRepetition) {
  for (int copy = 0; copy < 8; ++copy) repeats(client(), 1s + copy * 100ms);
  go_to(30s);
  EXPECT_EQ(begun, 0);
}

TEST_F(PathEvidenceTest, AClientThatHanatItselfMakesWaitIsNoEvidence) {
  repeats(client(), 1s);
  repeats(client(), 3s);
  evidence.on_reconnect(client());
  go_to(30s);
  EXPECT_EQ(begun, 0);
}

TEST_F(PathEvidenceTest, NotWhileTheTargetIsInDoubtDownOrNew) {
  for (const TargetState state : {TargetState::in_doubt, TargetState::none}) {
    target = state;
    repeats(client(), now - began + 1s);
    repeats(client(), now - began + 2s);
    go_to(now - began + 2s);
    target = TargetState::passes;
    go_to(now - began + 30s);
    EXPECT_EQ(begun, 0) << "the server explains it";
  }
}

TEST_F(PathEvidenceTest, ItEndsAtOnceWhenEveryClientThatWaitedIsAnswered) {
  for (const char* address : {"198.18.1.2", "198.18.1.3"}) repeats(client(1, address), 1s);
  for (const char* address : {"198.18.1.2", "198.18.1.3"}) repeats(client(1, address), 3s);
  go_to(4s);
  EXPECT_EQ(evidence.unanswered(now), 2U);
  evidence.on_answered(client(1, "198.18.1.2").address, now);
  evaluate();
  EXPECT_EQ(ended, 0);
  evidence.on_answered(client(1, "198.18.1.3").address, now);
  evaluate();
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(evidence.state(now), PathState::ok);
  go_to(70s);
  EXPECT_EQ(evidence.state(now), PathState::no_evidence);
}

TEST_F(PathEvidenceTest, ItEndsTenSecondsAfterTheLastRepetitionWhenAnotherIsAnsweredSince) {
  for (const char* address : {"198.18.1.2", "198.18.1.3"}) {
    repeats(client(1, address), 1s);
    repeats(client(1, address), 3s);
  }
  go_to(5s);
  evidence.on_answered(client(1, "198.18.1.2").address, now);
  evaluate();
  go_to(12s);
  EXPECT_EQ(ended, 0);
  go_to(15s);
  EXPECT_EQ(ended, 1);
}

TEST_F(PathEvidenceTest, ItGoesOnWhileSynsAreRepeatedAndEndsAMinuteAfterTheLast) {
  for (std::uint16_t number = 0; number < 20; ++number) {
    const auto at = number * 20s;
    repeats(client(static_cast<std::uint16_t>(40'000 + number)), at + 1s);
    repeats(client(static_cast<std::uint16_t>(40'000 + number)), at + 3s);
  }
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(ended, 0);
  go_to(383s + 59s);
  EXPECT_EQ(ended, 0);
  go_to(383s + 61s);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(evidence.next_wakeup(), std::nullopt);
}

TEST_F(PathEvidenceTest, ItEndsWhenTheTargetGoesButNotInADoubt) {
  repeats(client(), 1s);
  repeats(client(), 3s);
  go_to(4s);
  target = TargetState::in_doubt;
  go_to(10s);
  EXPECT_EQ(ended, 0);
  target = TargetState::none;
  go_to(12s);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(evidence.unanswered(now), 0U);
}

TEST_F(PathEvidenceTest, RemembersABoundedNumberOfClients) {
  now += 1s;
  for (std::uint32_t number = 0; number < 3'000; ++number) {
    const Endpoint from{.address = Address::parse("10.0." + std::to_string(number / 250) + "." + std::to_string(number % 250)).value(),
                        .port = 1};
    evidence.on_repeated_syn({.client = from, .sequence = 1}, now);
    evidence.on_refused(Address::parse("10.9." + std::to_string(number / 250) + "." + std::to_string(number % 250)).value(), now);
  }
  now += 2s;
  EXPECT_EQ(evidence.unanswered(now), PathEvidence::connections_at_most);
  EXPECT_EQ(evidence.refused(now), PathEvidence::refused_at_most);
}

TEST_F(PathEvidenceTest, TheClientToTraceIsOneThatHasWaitedForAMoment) {
  repeats(client(), 1s);
  EXPECT_EQ(evidence.suspect(now), std::nullopt);
  go_to(1'200ms);
  EXPECT_EQ(evidence.suspect(now), client()) << "its third SYN is still to come";
}

/// Nothing has been examined.
class WithoutAVerdict : public PathEvidenceTest {
protected:
  WithoutAVerdict() { evidence = {}; }
  void hangs(const char* address, Clock::duration at = {}) {
    repeats(client(40'000, address), at + 1s);
    repeats(client(40'000, address), at + 3s);
    go_to(at + 4s);
  }
};

TEST_F(WithoutAVerdict, OneClientAloneIsNothing) {
  hangs("198.18.1.2");
  for (std::uint16_t number = 1; number < 5; ++number) repeats(client(static_cast<std::uint16_t>(40'000 + number)), 4s + number * 1s);
  go_to(60s);
  EXPECT_EQ(begun, 0);
}

TEST_F(WithoutAVerdict, AnExaminationIsTheSecondWitness) {
  hangs("198.18.1.2");
  examined(Examined::Verdict::nothing);
  EXPECT_EQ(begun, 0);
  examined(Examined::Verdict::path);
  EXPECT_EQ(begun, 1);
}

TEST_F(WithoutAVerdict, TwoClientsWaitForTheVerdictButNotForEver) {
  repeats(client(1, "198.18.1.2"), 1s);
  evidence.on_examination(now);
  repeats(client(1, "198.18.1.3"), 1'100ms);
  repeats(client(1, "198.18.1.2"), 3s);
  go_to(4s);
  EXPECT_EQ(begun, 0);
  go_to(5s);
  EXPECT_EQ(begun, 1);
  EXPECT_LE(begun_at, 4'500ms);
}

TEST_F(WithoutAVerdict, AClientOnAListDoesNotCountAndWhoeverComesBesideItIsExaminedToo) {
  hangs("198.18.1.2");
  examined(Examined::Verdict::client_only);
  EXPECT_EQ(evidence.unanswered(now), 0U);
  hangs("198.18.1.3", 5s);
  hangs("198.18.1.4", 6s);
  EXPECT_EQ(begun, 0) << "they may be on the list, too";
  repeats(client(1), 12s);
  repeats(client(1), 14s);
  go_to(15s);
  EXPECT_EQ(evidence.suspect(now)->address, client(1, "198.18.1.4").address) << "not the one that is known";
  examined(Examined::Verdict::path, {}, client(1, "198.18.1.3").address);
  EXPECT_EQ(begun, 1);
}

TEST_F(WithoutAVerdict, WhatStoppedHanatdsOwnClientTooAndIsGoneEndsIt) {
  hangs("198.18.1.2");
  examined(Examined::Verdict::path, false);
  EXPECT_EQ(begun, 1);
  examined(Examined::Verdict::path, true);
  EXPECT_EQ(ended, 0) << "something else is in the way of clients";
  examined(Examined::Verdict::path, false);
  examined(Examined::Verdict::nothing, true);
  EXPECT_EQ(ended, 1);
  EXPECT_NE(evidence.state(now), PathState::unanswered);
}

/// A server has accepted, and the client asks again and again: the reply does not reach it.
class ThatAServerHasAccepted : public WithoutAVerdict {
protected:
  void goes_on(const char* address, Clock::duration at = {}) {
    repeats(client(40'000, address), at + 1'500ms, 7, true);
    repeats(client(40'000, address), at + 3'500ms, 7, true);
  }
};

TEST_F(ThatAServerHasAccepted, IsTroubleWhenAnExaminationFindsWhatStopsTheReply) {
  repeats(client(), 1'500ms, 7, true);
  go_to(3s);
  EXPECT_FALSE(evidence.suspect(now)) << "one lost reply is nothing to look into";
  repeats(client(), 3'500ms, 7, true);
  EXPECT_EQ(evidence.suspect(now), client());
  EXPECT_EQ(begun, 0);
  examined(Examined::Verdict::path, false);
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(evidence.unanswered(now), 1U);
  EXPECT_EQ(evidence.take_new(), 1U);
  evidence.on_answered(client().address, now);
  evaluate();
  EXPECT_EQ(ended, 0) << "a server has accepted before, and that was no help";
  examined(Examined::Verdict::nothing, true);
  EXPECT_EQ(ended, 1) << "hanatd's own client gets its reply again";
}

TEST_F(ThatAServerHasAccepted, IsLookedIntoWhenThreeClientsHaveGivenUpEarly) {
  for (std::uint16_t number = 0; number < 3; ++number) {
    EXPECT_FALSE(evidence.suspect(now));
    repeats(client(static_cast<std::uint16_t>(40'000 + number)), 1'500ms + number * 2'000ms, 7, true);
  }
  go_to(6s);
  EXPECT_TRUE(evidence.suspect(now));
  examined(Examined::Verdict::path, false);
  go_to(7s);
  EXPECT_EQ(begun, 1);
  go_to(30s);
  EXPECT_TRUE(evidence.suspect(now)) << "it is looked at again, to see whether it is over";
  examined(Examined::Verdict::nothing, true);
  EXPECT_EQ(ended, 1);
}

TEST_F(ThatAServerHasAccepted, IsNothingWithoutHoweverManyTheyAre) {
  for (const char* const address : {"198.18.1.2", "198.18.1.3", "198.18.1.4", "198.18.1.5"}) goes_on(address, now - began);
  examined(Examined::Verdict::nothing, true);
  go_to(now - began + 30s);
  EXPECT_EQ(begun, 0) << "some never want an answer, and some have a network that loses it";
  EXPECT_EQ(evidence.take_new(), 0U);
}

/// Clients that are answered at their second SYN, as on a path that loses packets: never, whatever the order.
TEST_F(PathEvidenceTest, LostPacketsThatAreRepeatedWithSuccessAreNoTrouble) {
  std::mt19937 random{1};
  for (int packet = 0; packet < 2'000; ++packet) {
    const Endpoint from = client(static_cast<std::uint16_t>(random() % 50'000 + 1), random() % 2 == 0 ? "198.18.1.2" : "198.18.1.3");
    repeats(from, now - began + std::chrono::milliseconds{random() % 400}, static_cast<std::uint32_t>(random()));
    go_to(now - began + std::chrono::milliseconds{random() % 20});
    evidence.on_answered(from.address, now);
    evaluate();
  }
  EXPECT_EQ(begun, 0);
}

} // namespace
} // namespace hanat
