// What is seen of the other gateway of a pair: when it answered last, in which role, and what is to be told of that: it is missed or found
// again, both gateways are active, the configurations differ. `now` is an argument. Not here: asking it (peer/peer_client), what follows
// from its answers (peer_link).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/api/peer_status.hpp"
#include "daemon/links/program_events.hpp"
#include "daemon/pair/role.hpp"
#include "daemon/peer/peer_match.hpp"
#include "daemon/peer/peer_page.hpp"
#include "daemon/report/event.hpp"

namespace hanat {

/// Whether a gateway of that role serves clients: its decisions hold.
constexpr bool is_writer(Role role) { return role == Role::active || role == Role::settling; }
bool is_writer(std::string_view role);

class PeerSight {
public:
  using Publish = std::function<void(events::Payload)>;

  /// `peer`: its address, for people.
  PeerSight(const std::string& peer, const Publish& publish, Time now)
      : peer_(peer), publish_(publish), program_events_(peer, publish), waits_since_(now) {}

  /// `own`: the role of this gateway, here and below.
  void on_answer(const PeerPage& page, Role own, Time now);
  /// An attempt failed.
  void on_failure(const std::string& why, Role own, Time now);
  /// Either gateway has another role, or time has passed.
  void on_roles(Role own, Time now);
  /// Somebody who is not the other gateway wanted to know something.
  void on_refused(const std::string& client, Time now);
  /// The first difference of the configurations, or the end of the last one.
  void on_differences(const PeerView& view);
  void set_lag(Clock::duration lag) { lag_ = lag; }

  bool was_seen() const { return seen_at_.has_value(); }
  /// It has answered within the last seconds.
  bool answers(Time now) const;
  /// By its last answer.
  const std::string& role() const { return role_; }
  const std::string& failure() const { return failure_; }
  PeerStatus status(const PeerView& view, Role own, Time now) const;

private:
  /// What is told when it has lasted, and its end.
  struct Lasting {
    std::optional<Time> since;
    bool told = false;
  };

  std::string peer_;
  Publish publish_;
  std::optional<Time> seen_at_;
  std::string role_, version_, failure_;
  PairPrograms programs_;
  ProgramEvents program_events_;
  std::chrono::milliseconds clock_ahead_{}; // of this gateway's
  std::optional<Clock::duration> lag_;
  Time waits_since_; // since when an answer is missing
  Lasting both_active_, none_active_;
  std::optional<Time> refused_told_;
  bool lost_told_ = false, differs_told_ = false;
};

} // namespace hanat
