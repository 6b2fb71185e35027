// What the kernel tells of itself: a client was refused, a cable was pulled, a route went. The servers concerned are asked now, and one
// whose way is known to be blocked is not asked at all. And what says that the gateway itself is the problem: then answers count for
// nothing. Not here: hearing it (probes/signals), what answers mean (health).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/gateway.hpp"
#include "nat/port_range.hpp"
#include "probes/conntrack_room.hpp"

namespace hanat {
namespace {

probes::Way way_to(const probes::Question& question) { return {.server = question.server.address, .source = question.spec.source}; }

/// A probe bound to an interface does not go where the routes say.
bool is_routed(const probes::Question& question) { return question.spec.interface.empty(); }

/// Known on this machine, without a word of the server's.
bool is_local(probes::Reason reason) { return reason == probes::Reason::no_carrier || reason == probes::Reason::net_unreachable; }

/// Not on connections that were made before, nor by sockets that are not the probe's own.
bool opens_untracked(probes::Kind kind) {
  switch (kind) {
  case probes::Kind::https:
  case probes::Kind::grpc:
  case probes::Kind::icmp:
  case probes::Kind::exec: return false;
  case probes::Kind::tcp:
  case probes::Kind::tls:
  case probes::Kind::http:
  case probes::Kind::udp:
  case probes::Kind::dns:
  case probes::Kind::redis:
  case probes::Kind::postgres:
  case probes::Kind::mysql:
  case probes::Kind::smtp: return true;
  }
  return false;
}

} // namespace

void Gateway::watch_way(const probes::Question& question) {
  if (is_routed(question)) signals_->ways().add(way_to(question));
}

void Gateway::forget(const RunningQuestion& question) {
  if (is_routed(*question.question)) signals_->ways().remove(way_to(*question.question));
  const bool blind = question.last && question.last->outcome == probes::Outcome::blind;
  note_blindness(blind, {.outcome = probes::Outcome::normal, .reason = {}, .latency = {}, .detail = {}});
  by_question_.erase(question.id);
  engine_.remove(question.id);
}

std::optional<probes::Answer> Gateway::known_before(const probes::Question& question) {
  if (!is_routed(question)) return std::nullopt;
  auto answer = signals_->ways().blocked(way_to(question));
  // No way to anybody is our own uplink's failure: nothing is known of the servers, and nowhere is better.
  if (answer && is_local(answer->reason) && signals_->ways().all_blocked()) answer->outcome = probes::Outcome::blind;
  return answer;
}

void Gateway::signalled(const probes::Signal& signal) {
  if (stopped_) return;
  if (signal.server)
    for (RunningService* service : services_on(signal.server->address)) ask_now(*service, *signal.server);
  if (!signal.vip) return;
  for (const auto& service : services_)
    if (const auto target = find_covering(service->loaded.target, *signal.vip); target != service->loaded.target.end())
      return ask_now(*service, target->second.server);
}

/// The questions of the servers at this address; port 0 is any.
void Gateway::ask_now(RunningService& service, const Endpoint& at) {
  const Time now = Clock::now();
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    RunningServer& server = service.servers[index];
    if (!serves_at(service.config.servers[index], at)) continue;
    for (RunningQuestion& question : server.questions) {
      if (!question.window.signal(now)) continue;
      set_pace(service); // of a burst: the question that is under way need not be answered before
      engine_.ask_now(question.id);
    }
  }
}

const std::vector<RunningService*>& Gateway::services_on(const Address& address) {
  if (by_address_.empty())
    for (const auto& service : services_)
      for (const RunningServer& server : service->servers)
        for (const Endpoint& endpoint : server.addresses)
          if (auto& services = by_address_[endpoint.address]; services.empty() || services.back() != service.get())
            services.push_back(service.get());
  static const std::vector<RunningService*> nobody;
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nobody : found->second;
}

/// Silence while the table of connections is full may be this machine's own. Once an untracked answer has come it is the server's again:
/// one to a question that was asked since, on a socket of its own.
probes::Answer Gateway::believed(const probes::Answer& answer, probes::Kind kind, Time now) {
  if (const bool full = probes::conntrack_is_full(); full != std::exchange(conntrack_full_, full)) {
    conntrack_full_since_ = now;
    untracked_works_ = false;
    settle_soon(); // follows it
  }
  if (!conntrack_full_) return answer;
  const bool untracked = opens_untracked(kind) && now - answer.latency > conntrack_full_since_;
  untracked_works_ |= answer.outcome == probes::Outcome::normal && untracked;
  if (answer.reason != probes::Reason::timeout || (untracked && untracked_works_)) return answer;
  return {.outcome = probes::Outcome::blind, .reason = probes::Reason::conntrack_full, .latency = answer.latency, .detail = {}};
}

/// While the table of connections is full, answers to probes pass by it.
void Gateway::follow_conntrack() {
  if (committer_.busy() || conntrack_full_ == kernel_.passes_by_conntrack() || kernel_state_ == KernelState::failed) return;
  change_aside([this, on = conntrack_full_] { kernel_.pass_by_conntrack(on); });
}

/// The first question that cannot be asked, and the last one that can be again, are told.
void Gateway::note_blindness(bool was, const probes::Answer& now) {
  const bool is = now.outcome == probes::Outcome::blind;
  if (was == is) return;
  settle_soon(); // tells it
  if (is && blind_questions_++ == 0)
    tell(Level::warning, fmt::format("servers cannot be asked: {}{}{}; their last state is held, no failover by what cannot be seen",
                                     probes::to_text(now.reason), now.detail.empty() ? "" : ": ", now.detail));
  if (was && --blind_questions_ == 0) tell(Level::notice, "all servers can be asked again");
}

} // namespace hanat
