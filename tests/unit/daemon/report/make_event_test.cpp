// Which event comes of which running state. Not here: what is said of it (event_text_test).
#include "daemon/report/make_event.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/decision/verdict.hpp"
#include "daemon/report/event_text.hpp"
#include "daemon/report/make_status.hpp"

namespace hanat::events {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;
using probes::ProbeResult;

constexpr Time event_moment{1'000s};

Endpoint server_address(std::uint16_t last) { return {.address = Address::parse(fmt::format("198.18.11.{}", last)).value(), .port = 8443}; }
Mapping mapping_to(const Endpoint& server, Protocol protocol = Protocol::tcp) {
  return {{.address = Address::parse("203.0.113.10").value(), .protocol = protocol, .port = 443}, server};
}

ProbeState probe_with(unsigned fails, probes::Reason reason, const DownRule& down = {}) {
  ProbeState probe{.window = FailureWindow{down, UpRule{}}, .rate = {}, .last = {}};
  for (unsigned count = 0; count < fails; ++count) probe.window.record(Outcome::fail, event_moment);
  probe.last = ProbeResult{.outcome = Outcome::fail, .reason = reason, .latency = 1ms, .detail = {}};
  return probe;
}

/// "web", with a primary and a backup; the primary has the traffic.
struct Web {
  ServiceState service;
  Web() {
    ServiceConfig& config = service.config.edit();
    config.name = "web";
    config.group = "voice";
    config.on_none = OnNone::drop;
    service.servers.push_back({.role = "primary", .addresses = {server_address(2)}, .probes = {}});
    service.servers.push_back({.role = "backup", .addresses = {server_address(3)}, .probes = {}});
    service.current = 0;
  }
  static ServerName primary() { return {.role = "primary", .address = server_address(2)}; }
  static ServerName backup() { return {.role = "backup", .address = server_address(3)}; }
  /// Flows of the primary, by flip 7.
  static Eviction eviction() {
    Eviction eviction{.mappings = {mapping_to(server_address(2))}, .comment = "web primary"};
    eviction.flip = 7;
    eviction.cut.tcp = 41;
    return eviction;
  }
};

const Decision to_backup{
    .kind = TargetKind::server, .server = 1, .reason = Reason::failover, .flip_reason = Reason::failover, .failback_at = std::nullopt};
const Decision to_none{.kind = TargetKind::none,
                       .server = 0,
                       .reason = Reason::no_server_up,
                       .flip_reason = Reason::no_server_up,
                       .failback_at = std::nullopt};

template <typename T> T what(const Event& event) { return std::get<T>(event.what); }

TEST(MakeEvent, AnEventIsStampedWhenItIsMade) {
  const WallTime before = wall_now();
  const Event event = message(Level::notice, "a text");
  EXPECT_GE(event.at, before);
  EXPECT_LE(event.at, wall_now());
  EXPECT_TRUE(event.service.empty());
  EXPECT_EQ(what<Message>(event), (Message{.level = Level::notice, .text = "a text"}));
}

TEST(MakeEvent, AFlipHasItsOwnTimeAndItsStatus) {
  const Web web;
  const WallTime at{1'769'853'600'123ms};
  const Flip flip{.number = 7, .at = at, .from = "primary", .to = "backup", .reason = Reason::failover, .commit = 14us, .cut = {}};
  const Event event = flipped(web.service, to_backup, flip);
  EXPECT_EQ(event.at, at);
  EXPECT_EQ(event.service, "web");
  EXPECT_EQ(what<Flipped>(event), (Flipped{.from = Web::primary(),
                                           .to = Web::backup(),
                                           .reason = Reason::failover,
                                           .on_none = OnNone::drop,
                                           .group = "voice",
                                           .flip = report(web.service, flip)}));
  EXPECT_EQ(what<Flipped>(event).flip.commit_us, 14);
  EXPECT_FALSE(what<Flipped>(flipped(web.service, to_none, flip)).to);
  Web moved; // a reload has taken its target away
  moved.service.current.reset();
  moved.service.loaded.dnat.emplace(Vip{.address = server_address(1).address, .protocol = Protocol::tcp, .port = 443},
                                    nat::DnatTarget{.server = server_address(9), .comment = "web primary"});
  EXPECT_EQ(what<Flipped>(flipped(moved.service, to_backup, flip)).from, (ServerName{.role = "none", .address = server_address(9)}));
}

TEST(MakeEvent, TargetsAndWhatIsLoaded) {
  Web web;
  EXPECT_EQ(what<FirstTarget>(first_target(web.service, to_backup)),
            (FirstTarget{.to = Web::backup(), .on_none = OnNone::drop, .group = "voice"}));
  EXPECT_EQ(what<Adopted>(adopted(web.service)), (Adopted{.loaded = {.server = Web::primary(), .other = {}}, .observed = false}));
  web.service.current.reset();
  web.service.loaded.dnat.emplace(mapping_to(server_address(9)).vip,
                                  nat::DnatTarget{.server = server_address(9), .comment = "web primary"});
  web.service.shadow.emplace();
  EXPECT_EQ(what<Adopted>(adopted(web.service)), (Adopted{.loaded = {.server = {}, .other = server_address(9)}, .observed = true}));
  web.service.loaded.dnat.clear();
  web.service.refused = true;
  EXPECT_EQ(what<Adopted>(adopted(web.service)).loaded, (LoadedTarget{.server = {}, .other = {}, .refused = true}));
}

TEST(MakeEvent, AMoveOfTheShadow) {
  Web web;
  web.service.shadow.emplace();
  ShadowMoved moved = what<ShadowMoved>(shadow_moved(web.service, to_backup));
  EXPECT_FALSE(moved.from);
  EXPECT_EQ(moved.to, Web::backup());
  EXPECT_EQ(moved.loaded.server, Web::primary());
  web.service.shadow->placement.current = 0;
  web.service.servers[0].health = Health::down;
  web.service.servers[0].probes.push_back(probe_with(3, probes::Reason::timeout));
  moved = what<ShadowMoved>(shadow_moved(web.service, to_none));
  EXPECT_EQ(moved.from, Web::primary());
  EXPECT_FALSE(moved.to);
  EXPECT_TRUE(moved.from_is_down);
  ASSERT_TRUE(moved.last);
  EXPECT_EQ(moved.last->reason, probes::Reason::timeout);
}

TEST(MakeEvent, HealthIsThatOfTheWorstProbe) {
  Web web;
  ServerState& primary = web.service.servers[0];
  primary.health = Health::down;
  web.service.servers[1].health = Health::up;
  auto changed = what<HealthChanged>(health_changed(web.service, primary, event_moment));
  EXPECT_EQ(changed.cause.of, 3U);
  changed.cause = {};
  EXPECT_EQ(changed,
            (HealthChanged{.server = Web::primary(), .health = Health::down, .fails = 0, .within = 10s, .last = {}, .another_up = true}))
      << "a server without probes";
  primary.probes = {probe_with(0, probes::Reason::connected), probe_with(2, probes::Reason::slow),
                    probe_with(3, probes::Reason::refused, {.fails = 3}), probe_with(4, probes::Reason::timeout, {.fails = 4})};
  EXPECT_EQ(&worst_probe(primary, event_moment), &primary.probes[3]) << "the most fails of those that are down";
  changed = what<HealthChanged>(health_changed(web.service, primary, event_moment));
  EXPECT_EQ(changed.fails, 4U);
  EXPECT_EQ(changed.last->reason, probes::Reason::timeout);
  primary.probes.pop_back();
  EXPECT_EQ(&worst_probe(primary, event_moment), &primary.probes[2]) << "one that is down before one that is unknown";
  primary.probes.pop_back();
  EXPECT_EQ(&worst_probe(primary, event_moment), &primary.probes[1]) << "the most fails of those that are unknown";
  web.service.servers[1].health = Health::unknown;
  EXPECT_FALSE(what<HealthChanged>(health_changed(web.service, primary, event_moment)).another_up);
}

TEST(MakeEvent, Overrides) {
  Web web;
  const WallTime until{1'769'853'600'123ms};
  const Override force{.server = 1, .until = {}, .until_wall = until, .reason = "a test", .by = "root"};
  EXPECT_EQ(what<Forced>(forced(web.service, force)),
            (Forced{.server = Web::backup(), .by = "root", .until = until, .lasts = 0s, .reason = "a test"}));
  Override later = force;
  later.until_wall = wall_now() + 30min;
  EXPECT_EQ(what<Forced>(forced(web.service, later)).lasts, 30min);
  EXPECT_EQ(what<OverrideRestored>(override_restored(web.service, later)).forced, what<Forced>(forced(web.service, later)));
  web.service.force = force;
  EXPECT_EQ(what<OverrideWaits>(override_waits(web.service)), (OverrideWaits{.role = "backup", .by = "root"}));
  EXPECT_EQ(what<OverrideLost>(override_lost(web.service)), (OverrideLost{.role = "backup", .by = "root", .reason = "a test"}));
  Web owner;
  owner.service.config.edit().name = "sip";
  EXPECT_EQ(what<OverrideShared>(override_shared(web.service, owner.service)), (OverrideShared{.owner = "sip", .group = "voice"}));
  web.service.servers.clear();
  EXPECT_EQ(what<OverrideLost>(override_lost(web.service)), (OverrideLost{.role = "", .by = "root", .reason = "a test"}));
  EXPECT_TRUE(what<OverrideEnded>(override_ended(web.service, {})).expired);
  EXPECT_EQ(what<OverrideEnded>(override_ended(web.service, "root")), (OverrideEnded{.expired = false, .by = "root"}));
  const ServerState gone{.role = "backup2", .addresses = {}, .probes = {}};
  EXPECT_EQ(override_dropped("web", gone, "root").service, "web");
  EXPECT_EQ(what<OverrideDropped>(override_dropped("web", gone, "root")).server.role, "backup2");
  EXPECT_EQ(override_clock("web", 90s).service, "web");
  EXPECT_EQ(what<OverrideClock>(override_clock("web", 90s)).ends_after, 90s);
}

TEST(MakeEvent, WhatIsCutCarriesTheStatusOfItsFlip) {
  Web web;
  const Eviction eviction = Web::eviction();
  EXPECT_FALSE(what<FlowsCut>(flows_cut(web.service, eviction)).flip) << "the service has no flip";
  web.service.last_flip = Flip{.number = 7, .from = "primary", .to = "backup", .cut = {.tcp = 41, .udp = 0, .sctp = 0}};
  const auto cut = what<FlowsCut>(flows_cut(web.service, eviction));
  EXPECT_EQ(
      cut,
      (FlowsCut{.flows = "web primary", .cut = {.tcp = 41, .udp = 0, .sctp = 0}, .flip = report(web.service, *web.service.last_flip)}));
  EXPECT_EQ(what<CutCancelled>(cut_cancelled(web.service, *web.service.last_flip)),
            (CutCancelled{.flows = cut.flows, .cut = cut.cut, .flip = cut.flip}));
}

TEST(MakeEvent, Drains) {
  Web web;
  web.service.last_flip = Flip{.number = 7, .from = "primary", .to = "backup", .cut = {}};
  Eviction eviction = Web::eviction();
  eviction.drain = Drain{.until = event_moment + 60s, .since = event_moment, .left = 3U, .most = 10};
  EXPECT_EQ(what<DrainBegun>(drain_begun(web.service, eviction)),
            (DrainBegun{.flows = "web primary", .kind = FlowKind::tcp, .lasts = 60s}));
  EXPECT_EQ(what<DrainVoid>(drain_void(web.service, eviction)),
            (DrainVoid{.flows = "web primary", .kind = FlowKind::tcp, .flip = flip_of(web.service, eviction)}));
  const auto over = what<Drained>(drained(web.service, eviction, event_moment + 12s));
  EXPECT_EQ(over.took, 12s);
  EXPECT_EQ(over.ended, 7U);
  EXPECT_TRUE(over.flip);
  auto ended = what<DrainEnded>(drain_ended(web.service, eviction, DrainEnd::silent, true, event_moment + 12s));
  EXPECT_FALSE(ended.kept);
  EXPECT_EQ(ended.left, 3U);
  EXPECT_EQ(ended.end, DrainEnd::silent);
  EXPECT_TRUE(ended.flip);
  EXPECT_FALSE(ended.others_stay);
  ended = what<DrainEnded>(drain_ended(web.service, eviction, DrainEnd::given_up, false, event_moment + 12s));
  EXPECT_TRUE(ended.others_stay);
  EXPECT_EQ(ended.left, std::nullopt) << "of which nobody knows how many it has";
  eviction.mappings = {mapping_to(server_address(2), Protocol::udp)};
  eviction.drain->until.reset();
  EXPECT_EQ(what<DrainBegun>(drain_begun(web.service, eviction)),
            (DrainBegun{.flows = "web primary", .kind = FlowKind::non_tcp, .lasts = {}}));
  EXPECT_TRUE(what<DrainEnded>(drain_ended(web.service, eviction, DrainEnd::time, true, event_moment)).kept);
}

TEST(MakeEvent, AFlipToNoServerNamesOneThatIsUpButDisabled) {
  Web web;
  const Flip flip{.number = 7, .at = {}, .from = "primary", .to = "none", .reason = Reason::no_server_up, .commit = {}, .cut = {}};
  EXPECT_EQ(what<Flipped>(flipped(web.service, to_none, flip)).disabled, "");
  web.service.servers[1].health = Health::up;
  web.service.servers[1].maintenance.emplace();
  const Event event = flipped(web.service, to_none, flip);
  EXPECT_EQ(what<Flipped>(event).disabled, "backup");
  EXPECT_NE(text_of(event).find("no enabled server is up for all of group voice (backup is up, but disabled)"), std::string::npos);
}

TEST(MakeEvent, TheEndOfADoubtNamesNoServerThatHasLostOrGotTheTrafficMeanwhile) {
  Web web;
  web.service.since = wall_now() - 1h;
  web.service.servers[0].health = Health::up;
  EXPECT_EQ(what<OutageDoubtEnded>(outage_doubt_ended(web.service, 3s)).end, OutageDoubtEnded::End::answered);
  web.service.current = 1; // the target was disabled in the doubt
  web.service.since = wall_now() - 1s;
  EXPECT_EQ(what<OutageDoubtEnded>(outage_doubt_ended(web.service, 3s)),
            (OutageDoubtEnded{.target = {}, .end = OutageDoubtEnded::End::ended, .lasted = 3s}));
  web.service.current.reset(); // a reload removed it
  EXPECT_EQ(what<OutageDoubtEnded>(outage_doubt_ended(web.service, 3s)).end, OutageDoubtEnded::End::ended);
}

TEST(MakeEvent, UnexpectedFlows) {
  const Web web;
  Eviction found = Web::eviction();
  const auto seen = [&] { return what<UnexpectedFlows>(unexpected_flows(web.service, found, 2)); };
  EXPECT_EQ(seen(), (UnexpectedFlows{.number = 2, .server = server_address(2), .several_servers = false}));
  found.mappings.push_back(mapping_to(server_address(2), Protocol::udp));
  EXPECT_FALSE(seen().several_servers);
  found.mappings.push_back(mapping_to(server_address(3)));
  EXPECT_TRUE(seen().several_servers);
  found.untranslated = true;
  EXPECT_EQ(seen(), (UnexpectedFlows{.number = 2, .server = {}, .several_servers = false}));
}

TEST(MakeEvent, ForeignFlows) {
  const Web web;
  const Mapping mapping = mapping_to(server_address(2));
  EXPECT_EQ(what<ForeignFlows>(foreign_flows(web.service, mapping, 3)),
            (ForeignFlows{.vip = mapping.vip, .server = server_address(2), .number = 3}));
  EXPECT_EQ(what<ForeignFlows>(foreign_flows(web.service, untranslated(mapping.vip), 3)).server, std::nullopt);
  EXPECT_EQ(what<FlowsNotRecorded>(flows_not_recorded(web.service, Web::eviction(), "a failure")),
            (FlowsNotRecorded{.flows = "web primary", .vip = Web::eviction().mappings.front().vip, .error = "a failure"}));
}

TEST(MakeEvent, TheKernelAndTheProbes) {
  const ProbeResult result{.outcome = Outcome::inconclusive, .reason = probes::Reason::no_ports, .latency = {}, .detail = "Address in use"};
  EXPECT_EQ(what<ProbesInconclusive>(probes_inconclusive(result)),
            (ProbesInconclusive{.reason = probes::Reason::no_ports, .detail = "Address in use"}));
  EXPECT_TRUE(std::holds_alternative<ProbesConclusive>(probes_conclusive().what));
  EXPECT_EQ(what<ClientsNotHeard>(clients_not_heard("a failure")).error, "a failure");
  EXPECT_EQ(what<KernelRefused>(kernel_refused("a failure")).error, "a failure");
  EXPECT_TRUE(std::holds_alternative<KernelRecovered>(kernel_recovered().what));
  EXPECT_TRUE(what<TableRestored>(table_restored(true)).was_there);
  EXPECT_TRUE(std::holds_alternative<TableReplaced>(table_replaced().what));
  EXPECT_EQ(what<HeartbeatByTransaction>(heartbeat_by_transaction("a failure")).error, "a failure");
  EXPECT_TRUE(std::holds_alternative<HeartbeatByPacket>(heartbeat_by_packet().what));
  EXPECT_EQ(what<ConntrackFailed>(conntrack_failed(true, "a failure", 5s)),
            (ConntrackFailed{.counting = true, .error = "a failure", .retry_after = 5s}));
}

} // namespace
} // namespace hanat::events
