// What hanatctl tells of the other gateway of a pair.
#include "cli/show_peer.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/show_check.hpp"
#include "cli/show_status.hpp"
#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using ShowPeer = Show;

PairStatus well() {
  return {.role = "standby",
          .since = "2026-01-31T13:00:00.000Z",
          .address = "203.0.113.10",
          .peer =
              PeerStatus{.address = "198.18.9.2:9718", .seen_s = 0.2, .role = "active", .version = "0.1.0", .agrees = true, .lag_ms = 2}};
}
Status status_of(const PairStatus& pair) {
  Status status = with({web()});
  status.daemon.pair = pair;
  return status;
}

TEST_F(ShowPeer, OneThatIsWellIsToldInALine) {
  EXPECT_EQ(show_peer(well()), "; the other gateway, 198.18.9.2:9718, is active, seen 0.2 s ago, and agrees (followed within 2 ms)");
  EXPECT_THAT(peer_notices(well()), IsEmpty());
  EXPECT_THAT(peer_causes(well()), IsEmpty());
  EXPECT_EQ(show_peer({.role = "active", .since = "", .address = ""}), "");
  EXPECT_EQ(show_check(status_of(well()), now).alarm, Alarm::ok);
}

TEST_F(ShowPeer, OneThatDoesNotAnswerIsAWarning) {
  PairStatus pair = well();
  pair.peer->seen_s = 12;
  pair.peer->failure = "Connection refused";
  EXPECT_THAT(peer_causes(pair), ElementsAre(PeerCause{.text = "the other gateway does not answer"}));
  EXPECT_EQ(show_peer(pair), "; the other gateway, 198.18.9.2:9718, was active, seen 12 s ago");
  EXPECT_EQ(show_check(status_of(pair), now).alarm, Alarm::warning);
  const std::string text = show_status(status_of(pair), Detail::overview, {.colour = false, .now = now});
  EXPECT_THAT(text, AllOf(HasSubstr("1 note"), HasSubstr("does not answer")));
  pair.peer->seen_s.reset();
  EXPECT_THAT(show_peer(pair), HasSubstr("has not been seen yet"));
  EXPECT_THAT(peer_notices(pair).front().text, HasSubstr("Connection refused; this one keeps to what it was last told"));
  pair.role = "active";
  EXPECT_THAT(peer_notices(pair).front().text, HasSubstr("this one acts alone"));
}

TEST_F(ShowPeer, AConntrackdThatDoesNotDoItsWorkIsAWarningAlsoWithoutAPeer) {
  for (const auto& [state, words] : {std::pair{"absent", "conntrackd does not run"}, std::pair{"behind", "conntrackd hangs"}}) {
    PairStatus pair = well();
    pair.conntrackd = state;
    pair.peer.reset();
    ASSERT_EQ(peer_notices(pair).size(), 1U);
    EXPECT_THAT(peer_notices(pair).front().text, HasSubstr(words));
    EXPECT_FALSE(peer_notices(pair).front().remedies.empty());
    EXPECT_EQ(show_check(status_of(pair), now).alarm, Alarm::warning);
  }
}

TEST_F(ShowPeer, AProgramThatIsDeadIsAWarningOnBothGateways) {
  PairStatus pair = well();
  pair.keepalived = "absent";
  pair.peer->conntrackd = "absent";
  const auto notices = peer_notices(pair);
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_EQ(notices[0].text,
            "keepalived does not run (no program speaks VRRP here): this gateway cannot take over when the other one dies");
  EXPECT_THAT(notices[1].text,
              HasSubstr("on the other gateway (198.18.9.2:9718) does not run: this gateway gets no copies of new connections"));
  EXPECT_THAT(peer_causes(pair),
              ElementsAre(PeerCause{.text = "keepalived does not run"}, PeerCause{.text = "conntrackd does not run on the other gateway"}));
  EXPECT_EQ(show_check(status_of(pair), now).alarm, Alarm::warning);
}

TEST_F(ShowPeer, WhereNobodyHasTheAddressThatIsCritical) {
  PairStatus pair = well();
  pair.keepalived = "absent";
  pair.peer->seen_s = 12;
  EXPECT_THAT(peer_causes(pair).front().text, HasSubstr("nobody may have 203.0.113.10: the other gateway does not answer, and keepalived"));
  EXPECT_EQ(show_check(status_of(pair), now).alarm, Alarm::critical);
  EXPECT_TRUE(peer_notices(pair).front().trouble);
  pair.role = "active";
  EXPECT_EQ(show_check(status_of(pair), now).alarm, Alarm::warning) << "this one has it";
  pair = well();
  pair.peer->role = "standby";
  pair.peer->none_active = true;
  EXPECT_EQ(peer_notices(pair).front().text, "no gateway is active: neither has 203.0.113.10");
  EXPECT_EQ(show_check(status_of(pair), now).alarm, Alarm::critical);
}

TEST_F(ShowPeer, AFollowerThatIsFastIsNotSaidToNeedNoTime) {
  PairStatus pair = well();
  pair.peer->lag_ms = 0.02;
  EXPECT_THAT(show_peer(pair), HasSubstr("(followed within 1 ms)"));
}

TEST_F(ShowPeer, TwoActiveGatewaysAreTrouble) {
  PairStatus pair = well();
  pair.role = "active";
  pair.peer->both_active = true;
  EXPECT_TRUE(peer_notices(pair).front().trouble);
  EXPECT_THAT(peer_causes(pair), ElementsAre(PeerCause{.text = "both gateways are active"}));
  EXPECT_THAT(peer_notices(pair).front().text, HasSubstr("they do not hear each other's VRRP"));
  EXPECT_THAT(peer_notices(pair).front().remedies.front(), HasSubstr("tcpdump -ni any proto 112"));
  EXPECT_THAT(show_peer(pair), Not(HasSubstr("agrees")));
  EXPECT_THAT(show_status(status_of(pair), Detail::overview, {.colour = false, .now = now}), HasSubstr("1 problem"));
}

TEST_F(ShowPeer, DifferencesAreListedUpToAFew) {
  PairStatus pair = well();
  for (const char* text : {"service a: x", "service b: x", "service c: x", "service d: x", "service e: x", "service f: \x1b[31m"})
    pair.peer->differs.emplace_back(text);
  pair.peer->disagrees = {"service web: \x1b[31m"};
  const auto notices = peer_notices(pair);
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_THAT(notices[0].text, AllOf(HasSubstr("service a: x; service b: x"), HasSubstr("and 1 more"), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(notices[1].text, AllOf(HasSubstr("the two gateways disagree: service web: "), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(peer_causes(pair), ElementsAre(PeerCause{.text = "the two gateways differ"}, PeerCause{.text = "the two gateways disagree"}));
}

TEST_F(ShowPeer, AServerThatIsFollowedAndDownHereServesItsClientsThere) {
  Status status = status_of(well());
  status.services.front().why = "followed";
  status.services.front().servers.front().health = "down";
  EXPECT_NE(show_check(status, now).alarm, Alarm::critical);
}

TEST_F(ShowPeer, TheJsonIsReadAgain) {
  const nlohmann::json written = well();
  EXPECT_EQ(written.get<PairStatus>(), well());
  PairStatus nothing = well();
  nothing.peer = PeerStatus{.address = "198.18.9.2:9718"};
  EXPECT_EQ(nlohmann::json(nothing).get<PairStatus>(), nothing);
}

} // namespace
} // namespace hanat::cli
