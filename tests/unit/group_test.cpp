// Services with one fate: what their servers are together, and where all of them go.
#include "daemon/group.hpp"

#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/running_service.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time group_moment{100h};
constexpr std::array every_health{Health::unknown, Health::up, Health::down};

/// "ud?": up, down, unknown.
std::vector<Candidate> servers_of(std::string_view text) {
  std::vector<Candidate> servers;
  for (const char c : text)
    servers.push_back({.health = c == 'u' ? Health::up : c == 'd' ? Health::down : Health::unknown, .up_since = group_moment - 1h});
  return servers;
}

Standing on(std::size_t server) { return {.current = server, .refused = false}; }
constexpr Standing nowhere_yet{};
constexpr Standing turned_away{.current = std::nullopt, .refused = true};

View with_manual_failback() {
  View view;
  view.failback.automatic = false;
  return view;
}
View with_keep() {
  View view;
  view.on_none = OnNone::keep;
  return view;
}
View with_forced(std::size_t server) {
  View view;
  view.forced = server;
  return view;
}

Decision decide_for(std::string_view text, const std::vector<Standing>& members, View view = {}) {
  const auto servers = servers_of(text);
  view.servers = servers;
  return choose_together(view, members, group_moment);
}

TEST(Group, AServerIsAsFitAsInTheWorstService) {
  for (const Health one : every_health)
    for (const Health other : every_health) {
      const Health both = together({one, {}}, {other, {}}).health;
      EXPECT_EQ(both == Health::down, one == Health::down || other == Health::down);
      EXPECT_EQ(both == Health::up, one == Health::up && other == Health::up);
      EXPECT_EQ(both, together({other, {}}, {one, {}}).health);
    }
}

TEST(Group, AServerIsUpForAllSinceItIsForTheLast) {
  const Candidate early{Health::up, group_moment - 2h}, late{Health::up, group_moment - 1h};
  EXPECT_EQ(together(early, late), late);
  EXPECT_EQ(together(late, early), late);
  for (const Health health : every_health) EXPECT_EQ(together({health, group_moment}, nobody_else), (Candidate{health, group_moment}));
}

TEST(Group, EveryServiceLearnsWhatAllTheOthersKnow) {
  std::vector<RunningService> services(4);
  std::vector<RunningService*> group;
  for (RunningService& service : services) {
    service.servers.resize(2);
    for (RunningServer& server : service.servers) server.health = Health::up;
    group.push_back(&service);
  }
  services[2].servers[1].health = Health::down;
  services[3].servers[0].health = Health::unknown;
  services[1].servers[0].up_since = group_moment;
  share(group);
  for (std::size_t number = 0; number < services.size(); ++number) {
    const auto all = candidates(services[number]);
    EXPECT_EQ(all[0], (Candidate{Health::unknown, group_moment})) << number;
    EXPECT_EQ(all[1].health, Health::down) << number;
    EXPECT_EQ(services[number].servers[1].elsewhere.health, number == 2 ? Health::up : Health::down) << "its own view is not in it";
  }
  share(std::array{&services[2]});
  EXPECT_EQ(candidates(services[2])[0].health, Health::up) << "alone again";
}

TEST(Group, OneServiceAloneIsDecidedAsEver) {
  for (const char* text : {"uu", "ud", "du", "dd", "?u", "u?"})
    for (const Standing& standing : {on(0), on(1), nowhere_yet, turned_away}) {
      const auto servers = servers_of(text);
      View view;
      view.servers = servers;
      view.current = standing.current;
      view.refused = standing.refused;
      EXPECT_EQ(decide_for(text, {standing}), choose(view, group_moment)) << text;
    }
}

TEST(Group, ThoseThatStandTogetherMoveAsOne) {
  EXPECT_EQ(decide_for("uu", {on(0), on(0)}).why, Why::primary_up);
  const Decision failover = decide_for("du", {on(0), on(0)});
  EXPECT_EQ(failover.server, 1U);
  EXPECT_EQ(failover.flip_why, Why::failover);
  EXPECT_EQ(decide_for("uu", {on(1), on(1)}).flip_why, Why::failback);
  EXPECT_EQ(decide_for("dd", {on(0), on(0)}).place, Place::none);
  EXPECT_EQ(decide_for("dd", {on(1), on(1)}, with_keep()).why, Why::none_fit_kept);
}

TEST(Group, AServiceThatHasNothingYetFollowsTheOthers) {
  const View manual = with_manual_failback();
  for (const Standing& fresh : {nowhere_yet, turned_away}) {
    EXPECT_EQ(decide_for("uu", {on(1), fresh}, manual).server, 1U) << "failback waits for the operator, for both";
    EXPECT_EQ(decide_for("uu", {fresh, on(1)}, manual).server, 1U);
  }
  EXPECT_EQ(decide_for("uu", {nowhere_yet, turned_away}).server, 0U);
  EXPECT_EQ(decide_for("?u", {nowhere_yet, turned_away}).server, 1U) << "refused already: nothing to wait for";
}

TEST(Group, ThoseThatStandApartComeTogetherOnTheBest) {
  const View manual = with_manual_failback();
  for (const auto& members : {std::vector{on(0), on(1)}, std::vector{on(1), on(0)}, std::vector{on(1), nowhere_yet, on(0)}}) {
    EXPECT_EQ(decide_for("uu", members, manual).server, 0U);
    EXPECT_EQ(decide_for("uu", members, manual).place, Place::server);
    EXPECT_EQ(decide_for("du", members).server, 1U);
    const Decision unknown = decide_for("?u", members);
    EXPECT_EQ(unknown.place, Place::undecided) << "each stays where it is";
    EXPECT_EQ(unknown.why, Why::adopted);
    EXPECT_EQ(decide_for("dd", members).place, Place::none);
    const Decision kept = decide_for("dd", members, with_keep());
    EXPECT_EQ(kept.place, Place::undecided) << "each keeps its last target";
    EXPECT_EQ(kept.why, Why::none_fit_kept);
    EXPECT_EQ(decide_for("uu", members, with_forced(1)).server, 1U) << "an override brings them together, too";
  }
}

} // namespace
} // namespace hanat
