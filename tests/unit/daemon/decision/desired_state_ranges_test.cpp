// What the kernel should hold for a service that listens on a range of ports, and which flows go when the range changes.
// Not here: single ports (desired_state_test).
#include <cstdint>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat::planning {
namespace {

Vip ports_of(std::uint16_t port, std::uint16_t last) {
  return {.address = tcp4.address, .protocol = Protocol::tcp, .port = port, .last = last};
}
const Endpoint primary_machine = endpoint("198.18.1.2", 0), backup_machine = endpoint("198.18.2.2", 0);

/// On its primary, with everything loaded.
ServiceState ranged(const Vip& listen) {
  ServiceState service;
  service.config.edit().name = "web";
  service.config.edit().listen = {listen};
  service.config.edit().servers = {{.role = "primary", .addresses = {primary_machine}, .snat = {}, .probes = {}},
                                   {.role = "backup", .addresses = {backup_machine}, .snat = {}, .probes = {}}};
  service.servers.resize(2);
  service.loaded.vips[listen] = "web";
  service.loaded.dnat[listen] = {primary_machine, "web primary"};
  service.loaded.hold[{listen, primary_machine}] = "web primary";
  return service;
}

TEST(Plan, ARangeMovesAsOneEndpointWhoseFlowsKeepTheirPort) {
  ServiceState service = ranged(ports_of(1, 65'535));
  const Plan result = go(service, Destination::backup);
  EXPECT_EQ(result.rules.dnat.at(ports_of(1, 65'535)).server, backup_machine);
  const Mapping old{ports_of(1, 65'535), primary_machine};
  EXPECT_EQ(keys_of(result.rules.stale), std::set{old});
  EXPECT_EQ(mappings_of(result.evictions, false), std::set{old});
  EXPECT_TRUE(result.moves);
}

TEST(Plan, OfANarrowerRangeOnlyTheRestIsEvicted) {
  ServiceState service = ranged(ports_of(2'000, 9'000));
  service.config.edit().listen = {ports_of(3'000, 8'999)};
  const Plan result = go(service, Destination::primary);
  const Mapping below{ports_of(2'000, 2'999), primary_machine}, above{ports_of(9'000, 0), endpoint("198.18.1.2", 9'000)};
  const Mapping below2{below.vip, backup_machine}, above2{above.vip, endpoint("198.18.2.2", 9'000)};
  EXPECT_EQ(mappings_of(result.evictions, false), (std::set{below, above, below2, above2}));
  EXPECT_TRUE(result.rules.stale.empty()) << "the next flow there may be somebody else's";
  EXPECT_EQ(result.rules.vips.size(), 1U);
  EXPECT_TRUE(result.rules.hold.empty()) << "the kernel takes no two ranges that overlap";
}

TEST(Plan, OfAnotherRangeOnAnotherServerEverythingIsEvicted) {
  ServiceState service = ranged(ports_of(2'000, 9'000));
  service.config.edit().listen = {ports_of(3'000, 9'999)};
  const Plan result = go(service, Destination::backup);
  const Mapping kept{ports_of(3'000, 9'000), primary_machine}, rest{ports_of(2'000, 2'999), primary_machine};
  EXPECT_EQ(mappings_of(result.evictions, false), (std::set{kept, rest, Mapping{rest.vip, backup_machine}}));
  EXPECT_EQ(keys_of(result.rules.stale), std::set{kept});
}

/// The primary drains its flows for a minute, and the backup has the traffic.
ServiceState drained_range(const Vip& listen) {
  ServiceState service = ranged(listen);
  service.config.edit().on_forced = a_minute;
  apply(service, go(service, Destination::backup, Reason::forced), moment);
  return service;
}

TEST(Plan, OfANarrowerRangeOnlyTheRestOfADrainIsGivenUp) {
  ServiceState service = drained_range(ports_of(8'000, 10'000));
  service.config.edit().listen = {ports_of(8'000, 9'500)};
  const Plan result = go(service, Destination::backup, Reason::failover, moment + 1s);
  const Mapping rest{ports_of(9'501, 10'000), primary_machine};
  EXPECT_EQ(as_set(result.ending), std::set{rest});
  std::multiset<Mapping> given_up;
  for (const Eviction& eviction : result.evictions) {
    if (eviction.untranslated) continue;
    EXPECT_TRUE(eviction.given_up && eviction.exact);
    given_up.insert(eviction.mappings.begin(), eviction.mappings.end());
  }
  EXPECT_EQ(given_up, (std::multiset{rest, Mapping{rest.vip, backup_machine}})) << "each once";
  EXPECT_TRUE(result.rules.stale.empty());
}

TEST(Plan, ADrainOfANarrowerRangeHasTheSameEnd) {
  ServiceState service = drained_range(ports_of(8'000, 10'000));
  service.config.edit().listen = {ports_of(8'000, 9'500)};
  const Mapping kept{ports_of(8'000, 9'500), primary_machine};
  apply(service, go(service, Destination::backup, Reason::failover, moment + 1s), moment + 1s);
  service.evictions.erase(service.evictions.begin()); // as Evictions does it: see drains_test
  service.evictions.push_back({.mappings = {kept}, .comment = "web primary", .drain = Drain{.until = moment + 60s, .since = moment}});
  for (int turn = 0; turn < 2; ++turn, recorded(service)) {
    const Plan next = go(service, Destination::backup, Reason::failover, moment + 2s);
    EXPECT_TRUE(next.ending.empty()) << "neither the drain nor what is given up";
    EXPECT_TRUE(next.evictions.empty());
  }
  const Plan over = go(service, Destination::backup, Reason::failover, moment + 60s);
  EXPECT_EQ(as_set(over.ending), std::set{kept});
  EXPECT_EQ(keys_of(over.rules.stale), std::set{kept});
}

TEST(Plan, AnEndpointThatARangeHasNowDrainsOn) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().on_forced = a_minute;
  service.servers.resize(2);
  apply(service, go(service, Destination::backup, Reason::forced), moment);
  service.config.edit().listen = {ports_of(400, 500), udp4, tcp6};
  EXPECT_TRUE(go(service, Destination::backup, Reason::failover, moment + 1s).ending.empty());
}

TEST(Plan, WhatIsStaleIsNeverATargetWhateverItsBorders) {
  ServiceState service = ranged(ports_of(3'000, 9'999));
  service.evictions.push_back({.id = 1, .mappings = {{ports_of(2'000, 9'000), primary_machine}}, .comment = "web primary"});
  EXPECT_EQ(keys_of(go(service, Destination::primary).rules.stale), (std::set{Mapping{ports_of(2'000, 2'999), primary_machine}}));
}

TEST(Plan, PortsThatAnotherServiceHasTakenOverAreNotEvicted) {
  ServiceState service = ranged(ports_of(2'000, 9'000));
  service.ports_taken_over = {ports_of(1, 4'000), ports_of(8'000, 65'535)};
  const Plan result = go(service, Destination::removed);
  EXPECT_EQ(mappings_of(result.evictions, false), (std::set{Mapping{ports_of(4'001, 7'999), primary_machine}}));
  EXPECT_TRUE(result.rules.hold.empty());
}

} // namespace
} // namespace hanat::planning
