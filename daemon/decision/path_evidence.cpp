// Connections by client, and when something of them changes by time alone.
#include "daemon/decision/path_evidence.hpp"

#include <algorithm>
#include <utility>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto repeats_after = 900ms;   // Linux waits 1,000 ms at least (RFC 6298); what comes sooner is a copy of the packet
constexpr auto answer_within = 500ms;   // a repeated SYN that meets no trouble is answered by then
constexpr auto looks_bad_after = 200ms; // early enough for the cause to be seen in the third SYN
constexpr auto alone_for = 1s;          // what a connection whose SYN came twice waits without an answer
constexpr auto together = 10s;
constexpr auto quiet_for = 10s; // the repetitions of a SYN are at most 8 s apart before its client gives up, if it is patient
constexpr unsigned begin_with = 3;
constexpr std::size_t clients_needed = 2;    // without a verdict
constexpr auto verdict_within = 3'300ms;     // an examination that is not held up; later nobody waits for it
constexpr auto client_only_for = 15s;        // clients beside one that is stopped by a rule about itself are examined by then, too
constexpr auto excused_for = 2min;           // another rule may stop it by then
constexpr std::size_t excused_at_most = 256; // clients

} // namespace

std::string_view to_text(PathState state) {
  switch (state) {
  case PathState::no_evidence: return "no-evidence";
  case PathState::ok: return "ok";
  case PathState::unanswered: return "unanswered";
  }
  return {};
}

void PathEvidence::on_repeated_syn(const RepeatedSyn& syn, Time now) {
  const auto& [client, sequence, accepted] = syn;
  if (examined_.excused.contains(client.address)) return;
  repeated_at_ = now;
  next_ = now;
  const auto known = connections_.find(client);
  if (known == connections_.end() || known->second.sequence != sequence) {
    if (known == connections_.end() && connections_.size() >= connections_at_most) return;
    connections_[client] = {.sequence = sequence, .first = now, .last = now, .accepted = accepted};
    return;
  }
  Connection& connection = known->second;
  if (now - connection.last < repeats_after) return;
  connection.last = now;
  connection.accepted = accepted;
  ++connection.repeated;
}

void PathEvidence::on_answered(const Address& client, Time now) {
  answered_at_ = now;
  next_ = now;
  std::erase_if(connections_, [&](const auto& entry) { return entry.first.address == client && !entry.second.accepted; });
}

void PathEvidence::on_refused(const Address& client, Time now) {
  const auto answered_before = answered_at_; // a refusal does not show that the way is free for others
  on_answered(client, now);
  answered_at_ = answered_before;
  refused_at_ = now;
  if (refused_.size() < refused_at_most || refused_.contains(client)) refused_[client] = now;
}

void PathEvidence::on_examination(Time now) {
  examined_.due = now + verdict_within;
  next_ = now;
}

void PathEvidence::on_examined(const Examined& examined, Time now) {
  examined_.due.reset();
  next_ = now;
  if (examined.own_client) {
    examined_.is_mended = examined_.own_is_silent && *examined.own_client && examined.verdict != Examined::Verdict::path;
    examined_.own_is_silent = !*examined.own_client;
  }
  // Without a packet of the client nothing is learnt of what stopped it before.
  if (examined.verdict != Examined::Verdict::nothing || examined.saw_client || examined_.is_mended)
    examined_.verdict = Verdict{.what = examined.verdict, .at = now};
  if (examined.verdict != Examined::Verdict::client_only || examined_.excused.size() >= excused_at_most) return;
  examined_.excused[examined.client] = now;
  std::erase_if(connections_, [&](const auto& entry) { return entry.first.address == examined.client; });
}

bool PathEvidence::is_unanswered(const Connection& connection, Time now) {
  if (connection.repeated == 1) return now - connection.first >= alone_for;
  return connection.repeated > 2 || connection.accepted || now - connection.last >= answer_within; // accepted: it has waited that long
}

PathEvidence::Change PathEvidence::evaluate(TargetState target, Time now) {
  forget_old(now);
  // Before clients are unanswered a doubt about the server explains why they wait; afterwards it must not end what it does not explain.
  if (target == TargetState::none || (target == TargetState::in_doubt && !unanswered_)) connections_.clear();
  if (target == TargetState::passes)
    for (auto& [client, connection] : connections_)
      if (!connection.counted && is_unanswered(connection, now) && (!connection.accepted || unanswered_ || examined_.show_path(now))) {
        connection.counted = true;
        ++new_;
      }
  const bool was = std::exchange(unanswered_, unanswered_ ? !ends(now) : target == TargetState::passes && begins(now));
  plan(now);
  if (was == unanswered_) return Change::none;
  if (!unanswered_) { // whoever still waits repeats its SYN
    connections_.clear();
    examined_.verdict.reset();
    examined_.own_is_silent = examined_.is_mended = false;
  }
  return unanswered_ ? Change::begun : Change::ended;
}

bool PathEvidence::begins(Time now) const {
  unsigned twice = 0;
  bool thrice = false;
  for (const auto& [client, connection] : connections_) {
    if (!is_unanswered(connection, now)) continue;
    thrice |= connection.repeated > 1;
    if (now - connection.last <= together) ++twice;
  }
  const bool enough = thrice || (twice >= begin_with && (!refused_at_ || now - *refused_at_ > together));
  return enough && examined_.confirm(unanswered(now, false), now);
}

bool PathEvidence::Examinations::show_path(Time now) const {
  return verdict && verdict->what == Examined::Verdict::path && now - verdict->at < window;
}

/// By a second client, or by what was found for one.
bool PathEvidence::Examinations::confirm(std::size_t clients, Time now) const {
  if (show_path(now)) return true;
  // Others may meet the same rule: each is examined.
  if (verdict && verdict->what == Examined::Verdict::client_only && now - verdict->at < client_only_for) return false;
  return clients >= clients_needed && (!due || now >= *due);
}

bool PathEvidence::ends(Time now) const {
  if (connections_.empty() || !repeated_at_ || examined_.is_mended) return true;
  return answered_at_ && *answered_at_ > *repeated_at_ && now - *repeated_at_ >= quiet_for;
}

void PathEvidence::forget_old(Time now) {
  std::erase_if(connections_, [now](const auto& entry) { return now - entry.second.last >= window; });
  std::erase_if(refused_, [now](const auto& entry) { return now - entry.second >= window; });
  std::erase_if(examined_.excused, [now](const auto& entry) { return now - entry.second >= excused_for; });
  if (examined_.verdict && now - examined_.verdict->at >= window) examined_.verdict.reset();
  for (auto* moment : {&answered_at_, &repeated_at_, &refused_at_})
    if (*moment && now - **moment >= window) moment->reset();
}

/// While clients are unanswered their target is looked at each second.
void PathEvidence::plan(Time now) {
  next_.reset();
  const auto at = [&](Time moment) {
    if (moment > now) next_ = next_ ? std::min(*next_, moment) : moment;
  };
  for (const auto& [client, connection] : connections_) {
    at(connection.first + looks_bad_after);
    at(connection.repeated == 1 ? connection.first + alone_for : connection.last + answer_within);
    at(connection.last + window);
  }
  for (const auto& [client, last] : refused_) at(last + window);
  for (const auto& [client, since] : examined_.excused) at(since + excused_for);
  if (examined_.verdict) at(examined_.verdict->at + (examined_.verdict->what == Examined::Verdict::client_only ? client_only_for : window));
  for (const auto& moment : {answered_at_, refused_at_})
    if (moment) at(*moment + window);
  if (examined_.due) at(*examined_.due);
  if (unanswered_) at(now + 1s);
}

PathState PathEvidence::state(Time now, Time since) const {
  if (unanswered_) return PathState::unanswered;
  return answered_at_ && *answered_at_ > since && now - *answered_at_ < window ? PathState::ok : PathState::no_evidence;
}

std::size_t PathEvidence::unanswered(Time now, bool accepted) const {
  std::size_t clients = 0;
  const Address* last = nullptr;
  for (const auto& [client, connection] : connections_) {
    if (!is_unanswered(connection, now) || (connection.accepted && !accepted) || (last != nullptr && *last == client.address)) continue;
    last = &client.address;
    ++clients;
  }
  return clients;
}

std::size_t PathEvidence::refused(Time now) const {
  return static_cast<std::size_t>(std::ranges::count_if(refused_, [now](const auto& entry) { return now - entry.second < window; }));
}

std::optional<Endpoint> PathEvidence::suspect(Time now) const {
  std::optional<Endpoint> newest;
  Time last{};
  const auto is_accepted = [now](const auto& entry) { return entry.second.accepted && now - entry.second.last <= together; };
  // One alone may be an accident; in trouble each will do, to see whether it is over.
  const bool several = unanswered_ || std::ranges::count_if(connections_, is_accepted) >= begin_with;
  for (const auto& [client, connection] : connections_) {
    if (now - connection.first < looks_bad_after || connection.last <= last) continue;
    if (connection.accepted && connection.repeated == 1 && !several) continue;
    newest = client;
    last = connection.last;
  }
  return newest;
}

std::uint64_t PathEvidence::take_new() { return std::exchange(new_, 0); }

} // namespace hanat
