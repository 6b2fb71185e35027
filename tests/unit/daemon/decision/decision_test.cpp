// decide() over its whole input space, cell by cell. Not here: the policies in sentences (decision_cases_test).
#include "daemon/decision/decision.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time present{100h};
constexpr std::array healths{Health::unknown, Health::up, Health::full, Health::down};

/// A failback policy at a moment of the day: may the traffic go back now?
struct Policy {
  const char* name;
  Failback failback;
  Clock::duration up_for;
  std::chrono::seconds day_time;
  bool ripe;
};
const std::vector<Policy>& policies() {
  static const DayWindow night{.from = 2h, .to = 4h};
  static const DayWindow midnight{.from = 23h, .to = 1h};
  static const std::vector<Policy> all{
      {"auto", {}, 0s, 12h, true},
      {"manual", {.automatic = false, .after = {}, .window = {}}, 1h, 12h, false},
      {"after, not ripe", {.automatic = true, .after = 30s, .window = {}}, 10s, 12h, false},
      {"after, ripe", {.automatic = true, .after = 30s, .window = {}}, 30s, 12h, true},
      {"inside the window", {.automatic = true, .after = {}, .window = night}, 0s, 3h, true},
      {"outside the window", {.automatic = true, .after = {}, .window = night}, 1h, 12h, false},
      {"inside a window over midnight", {.automatic = true, .after = {}, .window = midnight}, 0s, 30min, true},
      {"outside a window over midnight", {.automatic = true, .after = {}, .window = midnight}, 1h, 12h, false},
      {"inside the window, not ripe", {.automatic = true, .after = 30s, .window = night}, 10s, 3h, false},
      {"ripe, outside the window", {.automatic = true, .after = 30s, .window = night}, 1h, 12h, false},
      {"manual, inside a window", {.automatic = false, .after = {}, .window = night}, 1h, 3h, false},
  };
  return all;
}

std::string to_text(const DecisionInput& input, const Policy& policy) {
  std::string servers;
  for (const Candidate& server : input.servers) servers += fmt::format(" {}", to_text(server.health));
  const auto index = [](std::optional<std::size_t> server) { return server ? fmt::to_string(*server) : "nobody"; };
  return fmt::format("servers:{}; current {}, refused {}, forced {}, override ended {}, {}, on_none {}", servers, index(input.current),
                     input.refused, index(input.forced), input.override_ended, policy.name, static_cast<int>(input.on_none));
}

/// Calls `visit` for every combination of inputs; returns how many there are.
std::size_t for_every_view(const std::function<void(const DecisionInput&, const Policy&)>& visit) {
  std::size_t cells = 0;
  for (std::size_t number = 1; number <= 4; ++number) {
    std::vector<Candidate> servers(number);
    std::size_t combinations = 1;
    for (std::size_t i = 0; i < number; ++i) combinations *= healths.size();
    for (std::size_t combination = 0; combination < combinations * policies().size() * 3 * 4; ++combination) {
      std::size_t left = combination;
      const auto digit = [&left](std::size_t base) {
        const std::size_t value = left % base;
        left /= base;
        return value;
      };
      const Policy& policy = policies()[digit(policies().size())];
      const OnNone on_none = std::array{OnNone::refuse, OnNone::drop, OnNone::keep}[digit(3)];
      const bool refused = digit(2) == 1;
      const bool override_ended = digit(2) == 1;
      for (Candidate& server : servers) server = {.health = healths[digit(healths.size())], .up_since = present - policy.up_for};
      for (std::size_t current = 0; current <= number; ++current)
        for (std::size_t forced = 0; forced <= number; ++forced, ++cells)
          visit({.servers = servers,
                 .current = current == number ? std::nullopt : std::optional{current},
                 .refused = refused,
                 .forced = forced == number ? std::nullopt : std::optional{forced},
                 .override_ended = override_ended,
                 .failback = policy.failback,
                 .on_none = on_none,
                 .day_time = policy.day_time},
                policy);
    }
  }
  return cells;
}

Health health_of(const DecisionInput& input, std::size_t server) { return input.servers[server].health; }
std::optional<std::size_t> first_with(const DecisionInput& input, Health health, std::size_t from = 0) {
  for (std::size_t server = from; server < input.servers.size(); ++server)
    if (health_of(input, server) == health) return server;
  return std::nullopt;
}
std::optional<std::size_t> first_up(const DecisionInput& input) { return first_with(input, Health::up); }
std::optional<std::size_t> first_full(const DecisionInput& input) { return first_with(input, Health::full); }

// Each of these is one promise; it is true of every cell.
struct Promise {
  const char* words;
  bool (*kept)(const DecisionInput& input, const Policy& policy, const Decision& decision);
};

bool moves(const DecisionInput& input, const Decision& decision) {
  return decision.kind == TargetKind::server && input.current != decision.server;
}
bool is_current(const DecisionInput& input, Health health) { return input.current && health_of(input, *input.current) == health; }
bool current_is_fit(const DecisionInput& input) { return is_current(input, Health::up) || is_current(input, Health::unknown); }
/// A preferred server is up.
bool may_go_back(const DecisionInput& input) { return input.current && first_up(input) && *first_up(input) < *input.current; }
/// And it may have the traffic now.
bool goes_back(const DecisionInput& input, const Policy& policy) { return may_go_back(input) && (input.override_ended || policy.ripe); }
/// The first server behind the current one that is up.
std::optional<std::size_t> behind(const DecisionInput& input) { return first_with(input, Health::up, *input.current); }

constexpr std::array promises{
    Promise{"a forced server is pinned, whatever its health",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (!input.forced) return d.reason != Reason::forced && d.flip_reason != Reason::forced;
              return d == Decision{TargetKind::server, *input.forced, Reason::forced, Reason::forced, std::nullopt, true};
            }},
    Promise{"the server exists; without a place for the traffic it is not said",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              return d.kind == TargetKind::server ? d.server < input.servers.size() : d.server == 0;
            }},
    Promise{"a down server gets traffic only when it is forced, or kept by on_none with nobody up",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || d.kind != TargetKind::server || health_of(input, d.server) != Health::down) return true;
              return input.on_none == OnNone::keep && input.current == d.server && !first_up(input) && !first_full(input) &&
                     d.reason == Reason::no_server_up_kept && d.flip_reason == Reason::no_server_up_kept;
            }},
    Promise{"traffic moves only to a server that is up, and to the first of them; from a full one perhaps to the first behind it",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || !moves(input, d) || first_up(input) == d.server) return true;
              return is_current(input, Health::full) ? behind(input) == d.server : !first_up(input) && first_full(input) == d.server;
            }},
    Promise{"undecided: nothing has the traffic, nothing was decided, and the first server that is neither down nor full is unknown",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              const auto open = std::ranges::find_if(
                  input.servers, [](const Candidate& c) { return c.health == Health::up || c.health == Health::unknown; });
              const bool waits = open != input.servers.end() && open->health == Health::unknown;
              const bool expected = !input.forced && !input.current && !input.refused && waits;
              return (d.kind == TargetKind::undecided) == expected && (!expected || d == Decision{});
            }},
    Promise{"none: no server is up or full, and on_none does not keep a current one",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (d.kind != TargetKind::none) return true;
              const bool nobody = !input.current || (health_of(input, *input.current) == Health::down && input.on_none != OnNone::keep);
              return !input.forced && nobody && !first_up(input) && !first_full(input) && d.reason == Reason::no_server_up &&
                     d.flip_reason == Reason::no_server_up;
            }},
    Promise{"refused clients are served as soon as any server is up, or full",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || input.current || !input.refused) return true;
              return first_up(input) || first_full(input) ? d.kind == TargetKind::server : d.kind == TargetKind::none;
            }},
    Promise{"a current server that is up keeps the traffic or gives it to a preferred one",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || !current_is_fit(input)) return true;
              return d.kind == TargetKind::server && d.server <= *input.current;
            }},
    Promise{"a current server that is up is left exactly when a preferred one is up and the policy, or the end of an override, says now",
            [](const DecisionInput& input, const Policy& policy, const Decision& d) {
              if (input.forced || !current_is_fit(input)) return true;
              const bool back = goes_back(input, policy);
              return moves(input, d) == back && (!back || d.flip_reason == Reason::failback);
            }},
    Promise{"a full one is left for a preferred server as failback allows, else for one behind it that is up, and its flows are kept",
            [](const DecisionInput& input, const Policy& policy, const Decision& d) {
              if (input.forced || !is_current(input, Health::full)) return true;
              const auto to = goes_back(input, policy) ? first_up(input) : behind(input);
              return d.kind == TargetKind::server && d.server == to.value_or(*input.current) && (!to || d.flip_reason == Reason::full);
            }},
    Promise{"flows are kept at a full server only",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              return d.flip_reason != Reason::full || !input.current || is_current(input, Health::full);
            }},
    Promise{"when no server is up, a full one has the traffic",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              const bool asked = !input.current || is_current(input, Health::down);
              if (input.forced || first_up(input) || !first_full(input) || !asked || d.kind == TargetKind::undecided) return true;
              return d.kind == TargetKind::server && d.server == *first_full(input) && d.reason == Reason::full_kept;
            }},
    Promise{"when the current server is down, the first one that is up takes over as a failover",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || !is_current(input, Health::down) || !first_up(input)) return true;
              return d.kind == TargetKind::server && d.server == *first_up(input) && d.flip_reason == Reason::failover;
            }},
    Promise{"failback_at is said exactly while an automatic failback waits, and lies ahead",
            [](const DecisionInput& input, const Policy& policy, const Decision& d) {
              const bool stays = !input.forced && (current_is_fit(input) || (is_current(input, Health::full) && !behind(input)));
              const bool waits = stays && may_go_back(input) && !input.override_ended && input.failback.automatic && !policy.ripe;
              return d.failback_at.has_value() == waits && (!waits || *d.failback_at > present);
            }},
    Promise{"the word of the status says who has the traffic",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || d.kind != TargetKind::server || d.reason == Reason::no_server_up_kept) return true;
              if (health_of(input, d.server) == Health::unknown) return d.reason == Reason::adopted;
              if (health_of(input, d.server) == Health::full) return d.reason == Reason::full_kept;
              const auto full = first_full(input);
              const Reason at_a_backup = full && *full < d.server ? Reason::full : Reason::failover;
              return d.reason == (d.server == 0 ? Reason::primary_up : at_a_backup);
            }},
    Promise{"the word of a flip from nowhere is the status's, unless a server is up again after an outage",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || input.current || d.kind != TargetKind::server) return true;
              return d.flip_reason == (input.refused && first_up(input) ? Reason::recovered : d.reason);
            }},
    Promise{"a decision once made is made again: nothing swings",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (d.kind == TargetKind::undecided) return true;
              DecisionInput next = input;
              next.current = d.kind == TargetKind::server ? std::optional{d.server} : std::nullopt;
              next.refused = d.kind == TargetKind::none;
              const Decision again = decide(next, present);
              return again.kind == d.kind && again.server == d.server && again.reason == d.reason;
            }},
    Promise{"same input, same output",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              const std::vector<Candidate> group_view(input.servers.begin(), input.servers.end());
              DecisionInput copy = input;
              copy.servers = group_view;
              return decide(copy, present) == d;
            }},
    Promise{"whether clients were refused before does not matter to a server that has the traffic",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              DecisionInput other = input;
              other.refused = !input.refused;
              return !input.current || decide(other, present) == d;
            }},
};

TEST(Choose, KeepsEveryPromiseInEveryCell) {
  unsigned broken = 0;
  const std::size_t cells = for_every_view([&](const DecisionInput& input, const Policy& policy) {
    const Decision decision = decide(input, present);
    for (const Promise& promise : promises)
      if (!promise.kept(input, policy, decision) && ++broken <= 20) // enough to see the pattern
        ADD_FAILURE() << "broken: " << promise.words << "\n  " << to_text(input, policy) << "\n  chosen: place "
                      << static_cast<int>(decision.kind) << " server " << decision.server << " " << to_text(decision.reason) << " / "
                      << to_text(decision.flip_reason);
  });
  EXPECT_EQ(broken, 0U);
  EXPECT_EQ(cells, 11U * 3 * 2 * 2 * (4 * 2 * 2 + 16 * 3 * 3 + 64 * 4 * 4 + 256 * 5 * 5));
}

TEST(Choose, WithoutServersNobodyGetsTheTraffic) { EXPECT_EQ(decide({}, present).kind, TargetKind::none); }

} // namespace
} // namespace hanat
