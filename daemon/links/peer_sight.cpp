// Each event once, when it has lasted.
#include "daemon/links/peer_sight.hpp"

#include <utility>

#include <fmt/format.h>

#include "daemon/util/duration.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto split_after = 2s;    // a handover has two active gateways, or none, for a moment
constexpr auto idle_after = 10s;    // keepalived with advert_int 1 is active 4 s after its start
constexpr auto clocks_apart = 2s;   // then times in the two journals cannot be compared
constexpr auto refused_pause = 60s; // between two events
constexpr std::size_t listed = 20;  // differences in a status

std::chrono::seconds whole_seconds(Clock::duration time) { return std::chrono::duration_cast<std::chrono::seconds>(time); }

} // namespace

bool is_writer(std::string_view role) { return role == to_text(Role::active) || role == to_text(Role::settling); }

void PeerSight::on_answer(const PeerPage& page, Role own, Time now) {
  if (!seen_at_ || lost_told_)
    publish_(events::PeerSeen{
        .peer = peer_, .role = page.role, .missed = lost_told_ ? std::optional{whole_seconds(now - waits_since_)} : std::nullopt});
  seen_at_ = waits_since_ = now;
  role_ = page.role;
  version_ = page.hanatd;
  failure_.clear();
  lost_told_ = false;
  programs_ = programs_of(page.conntrackd, page.keepalived);
  program_events_.take(programs_, page.role == to_text(Role::standby));
  clock_ahead_ = wall_now() - page.clock;
  on_roles(own, now);
}

void PeerSight::on_failure(const std::string& why, Role own, Time now) {
  failure_ = why;
  if (now - waits_since_ < peer_lost_after) return;
  if (std::exchange(lost_told_, true)) return;
  publish_(events::PeerLost{.peer = peer_, .why = why, .active = is_writer(own)});
}

void PeerSight::on_roles(Role own, Time now) {
  const auto look = [&](Lasting& state, bool is_so, Clock::duration after, const auto& begin, const auto& end) {
    if (is_so) {
      if (!state.since) state.since = now;
      if (now - *state.since >= after && !std::exchange(state.told, true)) publish_(begin());
      return;
    }
    const auto since = std::exchange(state.since, std::nullopt);
    if (std::exchange(state.told, false) && since) publish_(end(whole_seconds(now - *since)));
  };
  const bool answering = answers(now);
  look(
      both_active_, answering && is_writer(own) && is_writer(role_), split_after, [this] { return events::PairSplit{.peer = peer_}; },
      [own](std::chrono::seconds lasted) { return events::PairJoined{.lasted = lasted, .standby = !is_writer(own)}; });
  look(
      none_active_, answering && own == Role::standby && role_ == to_text(Role::standby), idle_after,
      [this] { return events::PairIdle{.peer = peer_}; },
      [this](std::chrono::seconds lasted) { return events::PairIdle{.peer = peer_, .lasted = lasted}; });
}

void PeerSight::on_refused(const std::string& client, Time now) {
  if (refused_told_ && now - *refused_told_ < refused_pause) return;
  refused_told_ = now;
  publish_(events::PeerRefused{client});
}

void PeerSight::on_differences(const PeerView& view) {
  if (!view.is_complete()) return;
  const auto texts = view.config_texts(1);
  if (texts.empty() != differs_told_) return;
  differs_told_ = !texts.empty();
  if (texts.empty())
    publish_(events::PeerAgrees{});
  else
    publish_(events::PeerDiffers{.first = texts.front(), .number = view.config_count()});
}

bool PeerSight::answers(Time now) const { return seen_at_ && now - *seen_at_ < peer_lost_after; }

PeerStatus PeerSight::status(const PeerView& view, Role own, Time now) const {
  PeerStatus status{.address = peer_};
  if (!failure_.empty()) status.failure = failure_;
  if (!seen_at_) return status;
  status.seen_s = std::chrono::duration<double>(now - *seen_at_).count();
  status.role = role_;
  status.version = version_;
  status.conntrackd = to_text(programs_.conntrackd);
  status.keepalived = to_text(programs_.keepalived);
  status.both_active = both_active_.told;
  status.none_active = none_active_.told;
  status.differs = view.config_texts(listed);
  status.disagrees = view.state_texts(listed);
  if (std::chrono::abs(clock_ahead_) > clocks_apart)
    status.differs.push_back(fmt::format("the clock of this gateway is {} {} that of the peer: run an NTP client on both",
                                         duration_text(whole_seconds(std::chrono::abs(clock_ahead_))),
                                         clock_ahead_ > 0ms ? "ahead of" : "behind"));
  status.agrees = !is_lost(status) && view.is_complete() && status.disagrees.empty();
  if (own == Role::standby && lag_) status.lag_ms = std::chrono::duration<double, std::milli>(*lag_).count();
  return status;
}

} // namespace hanat
