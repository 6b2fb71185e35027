// Services of a group: the health of their servers for all of them, and the one target that they get.
#include "daemon/decision/group.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/decision/service_state.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time group_moment{100h};
constexpr std::array every_health{Health::unknown, Health::up, Health::full, Health::down};

/// "ufd?": up, full, down, unknown.
std::vector<Candidate> servers_of(std::string_view text) {
  std::vector<Candidate> servers;
  for (const char c : text)
    servers.push_back({.health = c == 'u'   ? Health::up
                                 : c == 'f' ? Health::full
                                 : c == 'd' ? Health::down
                                            : Health::unknown,
                       .up_since = group_moment - 1h});
  return servers;
}

Placement on(std::size_t server) { return {.current = server, .refused = false}; }
constexpr Placement nowhere_yet{};
constexpr Placement turned_away{.current = std::nullopt, .refused = true};

DecisionInput with_manual_failback() {
  DecisionInput input;
  input.failback.automatic = false;
  return input;
}
DecisionInput with_keep() {
  DecisionInput input;
  input.on_none = OnNone::keep;
  return input;
}
DecisionInput with_forced(std::size_t server) {
  DecisionInput input;
  input.forced = server;
  return input;
}

Decision decide_for(std::string_view text, const std::vector<Placement>& members, DecisionInput input = {}) {
  const auto servers = servers_of(text);
  input.servers = servers;
  return decide_group(input, members, group_moment);
}

TEST(Group, AServerIsAsFitAsInTheWorstService) {
  for (const Health one : every_health)
    for (const Health other : every_health) {
      const Health both = merge_health({one, {}}, {other, {}}).health;
      EXPECT_EQ(both == Health::down, one == Health::down || other == Health::down);
      EXPECT_EQ(both == Health::up, one == Health::up && other == Health::up);
      const auto up_or_full = [](Health health) { return health == Health::up || health == Health::full; };
      EXPECT_EQ(both == Health::full, up_or_full(one) && up_or_full(other) && (one == Health::full || other == Health::full));
      EXPECT_EQ(both, merge_health({other, {}}, {one, {}}).health);
    }
}

TEST(Group, AServerIsUpForAllSinceItIsForTheLast) {
  const Candidate early{Health::up, group_moment - 2h}, late{Health::up, group_moment - 1h};
  EXPECT_EQ(merge_health(early, late), late);
  EXPECT_EQ(merge_health(late, early), late);
  for (const Health health : every_health) EXPECT_EQ(merge_health({health, group_moment}, neutral), (Candidate{health, group_moment}));
}

TEST(Group, AServerIsUpForAllWhenItIsForTheLast) {
  const Candidate up{.health = Health::up, .up_since = {}}, down{.health = Health::down, .up_since = {}};
  const Candidate soon{.health = Health::down, .up_since = {}, .up_at = group_moment + 1s};
  const Candidate late{.health = Health::down, .up_since = {}, .up_at = group_moment + 2s};
  const auto merged = [](const Candidate& one, const Candidate& other) {
    EXPECT_EQ(merge_health(one, other), merge_health(other, one));
    return merge_health(one, other).up_at;
  };
  EXPECT_EQ(merged(soon, late), late.up_at);
  EXPECT_EQ(merged(soon, up), soon.up_at);
  EXPECT_EQ(merged(soon, neutral), soon.up_at);
  EXPECT_EQ(merged(soon, down), std::nullopt) << "nobody knows when the other will be";
  EXPECT_EQ(merged(up, up), std::nullopt);
}

TEST(Group, EveryServiceLearnsWhatAllTheOthersKnow) {
  std::vector<ServiceState> services(4);
  std::vector<ServiceState*> group;
  for (ServiceState& service : services) {
    service.servers.resize(2);
    for (ServerState& server : service.servers) server.health = Health::up;
    group.push_back(&service);
  }
  services[2].servers[1].health = Health::down;
  services[3].servers[0].health = Health::unknown;
  services[1].servers[0].up_since = group_moment;
  share_health(group);
  for (std::size_t number = 0; number < services.size(); ++number) {
    const auto all = candidates(services[number]);
    EXPECT_EQ(all[0], (Candidate{Health::unknown, group_moment})) << number;
    EXPECT_EQ(all[1].health, Health::down) << number;
    EXPECT_EQ(services[number].servers[1].group_view.value().health, number == 2 ? Health::up : Health::down)
        << "its own view is not in it";
  }
  share_health(std::array{&services[2]});
  EXPECT_EQ(candidates(services[2])[0].health, Health::up) << "alone again";
}

TEST(Group, OneServiceAloneIsDecidedAsEver) {
  for (const char* text : {"uu", "ud", "du", "dd", "?u", "u?"})
    for (const Placement& placement : {on(0), on(1), nowhere_yet, turned_away}) {
      const auto servers = servers_of(text);
      DecisionInput input;
      input.servers = servers;
      input.current = placement.current;
      input.refused = placement.refused;
      EXPECT_EQ(decide_for(text, {placement}), decide(input, group_moment)) << text;
    }
}

TEST(Group, ThoseThatStandTogetherMoveAsOne) {
  EXPECT_EQ(decide_for("uu", {on(0), on(0)}).reason, Reason::primary_up);
  const Decision failover = decide_for("du", {on(0), on(0)});
  EXPECT_EQ(failover.server, 1U);
  EXPECT_EQ(failover.flip_reason, Reason::failover);
  EXPECT_EQ(decide_for("uu", {on(1), on(1)}).flip_reason, Reason::failback);
  EXPECT_EQ(decide_for("dd", {on(0), on(0)}).kind, TargetKind::none);
  EXPECT_EQ(decide_for("dd", {on(1), on(1)}, with_keep()).reason, Reason::no_server_up_kept);
}

TEST(Group, AServerThatIsFullForOneIsFullForAll) {
  const Decision away = decide_for("fu", {on(0), on(0)});
  EXPECT_EQ(away.server, 1U);
  EXPECT_EQ(away.flip_reason, Reason::full);
  EXPECT_EQ(decide_for("fd", {on(0), on(0)}).reason, Reason::full_kept);
  EXPECT_EQ(decide_for("fu", {on(0), on(1)}).server, 1U) << "those that stand apart meet at the one that is up";
  EXPECT_EQ(decide_for("df", {on(0), on(1)}).server, 1U);
}

TEST(Group, AServiceThatHasNothingYetFollowsTheOthers) {
  const DecisionInput manual = with_manual_failback();
  for (const Placement& fresh : {nowhere_yet, turned_away}) {
    EXPECT_EQ(decide_for("uu", {on(1), fresh}, manual).server, 1U) << "failback waits for the operator, for both";
    EXPECT_EQ(decide_for("uu", {fresh, on(1)}, manual).server, 1U);
  }
  EXPECT_EQ(decide_for("uu", {nowhere_yet, turned_away}).server, 0U);
  EXPECT_EQ(decide_for("?u", {nowhere_yet, turned_away}).server, 1U) << "refused already: nothing to wait for";
}

TEST(Group, ThoseThatStandApartComeTogetherOnTheBest) {
  const DecisionInput manual = with_manual_failback();
  for (const auto& members : {std::vector{on(0), on(1)}, std::vector{on(1), on(0)}, std::vector{on(1), nowhere_yet, on(0)}}) {
    EXPECT_EQ(decide_for("uu", members, manual).server, 0U);
    EXPECT_EQ(decide_for("uu", members, manual).kind, TargetKind::server);
    EXPECT_EQ(decide_for("du", members).server, 1U);
    const Decision unknown = decide_for("?u", members);
    EXPECT_EQ(unknown.kind, TargetKind::undecided) << "each stays where it is";
    EXPECT_EQ(unknown.reason, Reason::adopted);
    EXPECT_EQ(decide_for("dd", members).kind, TargetKind::none);
    const Decision kept = decide_for("dd", members, with_keep());
    EXPECT_EQ(kept.kind, TargetKind::undecided) << "each keeps its last target";
    EXPECT_EQ(kept.reason, Reason::no_server_up_kept);
    EXPECT_EQ(decide_for("uu", members, with_forced(1)).server, 1U) << "an override brings them together, too";
  }
}

} // namespace
} // namespace hanat
