// The gateway's services: made from a configuration, matched with what is loaded, changed by a reload.
// Not here: what happens to them afterwards (gateway.cpp).
#include <algorithm>
#include <system_error>
#include <unordered_set>

#include <fmt/format.h>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// The first questions of many servers are spread so that no more than about 10,000 start in a second.
constexpr auto first_question_spacing = 100us;
// What happened while hanatd was not there is looked for soon after its start, but not before the servers are judged.
constexpr auto first_reconcile = 10s;

std::string service_in(const std::string& comment) { return comment.substr(0, comment.find(' ')); }

/// Moves the entries of one map that belong to a virtual endpoint.
template <typename Value> void take(std::map<Vip, Value>& from, std::map<Vip, Value>& into, const Vip& vip) {
  if (auto entry = from.extract(vip)) into.insert(std::move(entry));
}
template <typename Value> void take(std::map<Mapping, Value>& from, std::map<Mapping, Value>& into, const Vip& vip) {
  for (auto entry = from.lower_bound({vip, {}}); entry != from.end() && entry->first.vip == vip;) into.insert(from.extract(entry++));
}

void take(nat::Rules& from, nat::Rules& into, const Vip& vip) {
  take(from.known, into.known, vip);
  take(from.target, into.target, vip);
  take(from.refused, into.refused, vip);
  take(from.moved, into.moved, vip);
  take(from.stale, into.stale, vip);
  take(from.hold, into.hold, vip);
  take(from.source, into.source, vip);
}

/// Every virtual endpoint that something in the rules is about, with the service that its comment names.
std::map<Vip, std::string> endpoints_of(const nat::Rules& rules) {
  std::map<Vip, std::string> result;
  for (const auto& [vip, comment] : rules.known) result.emplace(vip, service_in(comment));
  for (const auto& [vip, target] : rules.target) result.emplace(vip, service_in(target.comment));
  for (const auto& [vip, refused] : rules.refused) result.emplace(vip, service_in(refused.comment));
  for (const auto& [vip, comment] : rules.moved) result.emplace(vip, service_in(comment));
  for (const auto& [mapping, comment] : rules.stale) result.emplace(mapping.vip, service_in(comment));
  for (const auto& [mapping, comment] : rules.hold) result.emplace(mapping.vip, service_in(comment));
  for (const auto& [mapping, source] : rules.source) result.emplace(mapping.vip, service_in(source.comment));
  return result;
}

} // namespace

Gateway::Gateway(uv_loop_t* loop, nat::Kernel kernel, nat::Cutter cutter, std::optional<Telling> telling, Publish publish)
    : publish_(std::move(publish)), kernel_(std::move(kernel)),
      signals_(std::make_unique<probes::Signals>(loop, [this](const probes::Signal& signal) { signalled(signal); })),
      engine_(
          loop, [this](probes::QuestionId id, const probes::Answer& answer) { answered(id, answer); },
          [this](const probes::Question& question) { return known_before(question); }),
      cutter_(loop, std::move(cutter), std::move(telling), [this](const CutResult& result) { cut_done(result); }),
      committer_(loop, [this] { finish_commit(); }), timer_(make_timer(loop, this)), watch_(make_poll(loop, kernel_.watch_fd(), this)),
      after_timers_(make_prepare(loop, this)), after_sockets_(make_check(loop, this)) {
  uv_prepare_start(after_timers_.get(), [](uv_prepare_t* turn) { static_cast<Gateway*>(turn->data)->settle_if_due(); });
  uv_check_start(after_sockets_.get(), [](uv_check_t* turn) { static_cast<Gateway*>(turn->data)->settle_if_due(); });
}

Gateway::~Gateway() { stopped_ = true; } // answers that still come while its parts end are not acted on

void Gateway::start(const Config& config, const State& kept) {
  const Time now = Clock::now();
  on_stop_ = config.on_stop;
  const auto found = kernel_.read();
  const nat::Rules rules = found ? found->rules : nat::Rules{};
  if (found && found->in_order)
    kernel_.adopt(rules);
  else
    kernel_.load(rules);
  if (found && !found->in_order)
    tell(Level::warning, "the loaded table was of another layout or had been edited: replaced, its targets kept");
  for (const Service& service : config.services) configure(add_service(service.name), service, now);
  adopt_rules(rules, now);
  for (const Override& override : kept.overrides) restore(override, now);
  restore(kept.drains, now);
  reconcile_period_ = config.reconcile;
  next_reconcile_ = now + std::min<Clock::duration>(reconcile_period_, first_reconcile);
  regroup();
  if (const auto& failure = signals_->client_log_failure())
    tell(Level::warning, fmt::format("refused clients cannot be heard: {}; servers are asked at their usual pace", *failure));
  last_resync_ = now;
  uv_poll_start(watch_.get(), UV_READABLE, on_watch);
  settle(now);
  wait_for_kernel(); // ready means that the table stands: at a boot the network comes up behind it
}

void Gateway::stop() {
  stopped_ = true;
  wait_for_kernel();
  for (const auto& [id, asked] : std::exchange(by_question_, {})) engine_.remove(id);
  uv_timer_stop(timer_.get());
  uv_poll_stop(watch_.get());
  uv_prepare_stop(after_timers_.get());
  uv_check_stop(after_sockets_.get());
  signals_.reset();
  cutter_.cancel();
  if (on_stop_ == OnStop::remove) kernel_.remove();
}

RunningService& Gateway::add_service(const std::string& name) {
  RunningService& service = *services_.emplace_back(std::make_unique<RunningService>());
  service.config.name = name;
  return service;
}

/// Gives every service the rules that are loaded for its endpoints, and what is left to services that are gone.
void Gateway::adopt_rules(nat::Rules rules, Time now) {
  for (const auto& service : services_) {
    for (const Vip& vip : service->config.listen) take(rules, service->loaded, vip);
    find_current(*service);
    if (!service->loaded.empty()) events_.push_back(words::adopted(*service));
  }
  std::unordered_map<std::string, RunningService*> gone;
  for (const auto& [vip, name] : endpoints_of(rules)) {
    RunningService*& service = gone[name];
    if (service == nullptr) retire(*(service = &add_service(name)));
    take(rules, service->loaded, vip);
  }
  for (const auto& service : services_) resume(*service, now);
  fit_ranges(now);
}

/// What a crash left unfinished stands in the kernel: stale keys name the flows that are still to be cut.
void Gateway::resume(RunningService& service, Time now) {
  std::map<std::string, std::vector<Mapping>> unfinished;
  for (const auto& [mapping, comment] : service.loaded.stale) {
    const auto target = service.loaded.target.find(mapping.vip);
    if (target == service.loaded.target.end() || target->second.server != mapping.server) unfinished[comment].push_back(mapping);
  }
  for (const auto& [vip, comment] : service.loaded.moved) service.moved_until[vip] = now + moved_for;
  for (auto& [comment, mappings] : unfinished) {
    for (const Mapping& mapping : mappings) service.moved_until[mapping.vip] = now + moved_for;
    service.departures.push_back(
        {.id = ++next_departure_, .mappings = std::move(mappings), .comment = comment, .due = now}); // their clients may not know it yet
  }
  std::vector<Mapping> early; // entries that were made while no rules were loaded
  for (const auto& [vip, target] : service.loaded.target)
    if (service.removed)
      give_up({vip, target.server}, service.config.name, now);
    else if (!service.would)
      early.push_back(untranslated(vip));
  if (!early.empty())
    service.departures.push_back(
        {.id = ++next_departure_, .mappings = std::move(early), .comment = service.config.name, .untranslated = true, .due = now});
  if (!service.departures.empty()) departing_.insert(&service);
  touch(service);
}

/// Which server of the configuration has the traffic by what is loaded?
void Gateway::find_current(RunningService& service) {
  service.current.reset();
  for (const auto& [vip, target] : service.loaded.target)
    for (std::size_t server = 0; server < service.config.servers.size() && !service.current; ++server)
      if (endpoint_for(service.config.servers[server], vip) == target.server) service.current = server;
  service.refused = !service.current && !service.loaded.refused.empty() && service.loaded.target.empty();
  if (service.current) service.why = Why::adopted;
  begin_to_observe(service);
}

Reloaded Gateway::reload(const Config& config) {
  wait_for_kernel();
  const Time now = Clock::now();
  on_stop_ = config.on_stop;
  reconcile_period_ = config.reconcile;
  next_reconcile_ = std::min(next_reconcile_, now + reconcile_period_);
  Reloaded result;
  std::unordered_set<std::string> wanted;
  for (const Service& service : config.services) wanted.insert(service.name);
  for (const auto& service : services_)
    if (!service->removed && !wanted.contains(service->config.name)) {
      result.removed.push_back(service->config.name);
      retire(*service);
    }
  for (const Service& next : config.services) {
    RunningService* service = find(next.name);
    if (service != nullptr && service->config == next) continue;
    (service != nullptr ? result.changed : result.added).push_back(next.name);
    configure(service != nullptr ? *service : add_service(next.name), next, now);
  }
  hand_over_endpoints(now);
  for (const auto* names : {&result.added, &result.changed})
    for (const std::string& name : *names) find_current(*find(name));
  fit_ranges(now);
  regroup();
  settle(now);
  wait_for_kernel();
  return result;
}

/// An endpoint that changes hands takes everything along that is loaded for it: the same server keeps its flows, and no element of the
/// table has two services that each think it theirs.
void Gateway::hand_over_endpoints(Time now) {
  std::map<Vip, RunningService*> holders;
  for (const auto& service : services_)
    for (const auto& [vip, name] : endpoints_of(service->loaded)) holders[vip] = service.get();
  for (const auto& service : services_)
    for (const Vip& vip : service->config.listen) {
      const auto holder = holders.find(vip);
      if (holder == holders.end() || holder->second == service.get()) continue;
      RunningService& from = *holder->second;
      take(from.loaded, service->loaded, vip);
      if (auto until = from.moved_until.extract(vip))
        service->moved_until.insert(std::move(until));
      else if (service->loaded.moved.contains(vip))
        service->moved_until[vip] = now + moved_for;
      hand_over_departures(from, *service, vip, now);
      touch(*service);
      touch(from);
    }
}

/// A cut that is under way goes on; its result and what follows belong to the new service.
void Gateway::hand_over_departures(RunningService& from, RunningService& to, const Vip& vip, Time now) {
  for (Departure& departure : from.departures) {
    Departure part = departure;
    std::erase_if(part.mappings, [&](const Mapping& mapping) { return mapping.vip != vip; });
    if (part.mappings.empty()) continue;
    std::erase_if(departure.mappings, [&](const Mapping& mapping) { return mapping.vip == vip; });
    part.id = ++next_departure_;
    part.flip = 0;
    if (part.drain) { // counted anew, each for itself
      part.drain->left = departure.drain->left = std::nullopt;
      part.drain->most = departure.drain->most = 0;
      part.due = now;
      drains_changed_ = true;
    }
    if (part.in_job) job_.push_back({&to, part.id});
    to.departures.push_back(std::move(part));
    departing_.insert(&to);
  }
  std::erase_if(from.departures, [](const Departure& departure) { return departure.mappings.empty() && !departure.in_job; });
}

/// Makes or changes a service; questions that stay the same keep their history.
void Gateway::configure(RunningService& service, const Service& config, Time now) {
  std::vector<RunningServer> before = std::move(service.servers);
  std::vector<RunningQuestion> old;
  for (RunningServer& server : before) std::ranges::move(server.questions, std::back_inserter(old));
  std::optional<std::string> forced_role;
  if (service.force) forced_role = before[service.force->server].role;
  std::vector<RunningServer> servers;
  for (const Server& server : config.servers) {
    RunningServer& running = servers.emplace_back(RunningServer{.role = server.role, .addresses = server.addresses, .questions = {}});
    if (const auto same = std::ranges::find(before, server.addresses, &RunningServer::addresses); same != before.end()) {
      running.health = same->health;
      running.told = same->told;
      running.up_since = same->up_since;
    }
    for (const probes::Question& question : questions_for(config, server))
      running.questions.push_back(take_question(question, config, old));
  }
  for (const RunningQuestion& question : old) forget(question);
  service.servers = std::move(servers);
  by_address_.clear();
  remember(service, config.listen, now);
  service.config = config;
  by_name_[config.name] = &service;
  for (std::size_t server = 0; server < service.servers.size(); ++server)
    for (std::size_t question = 0; question < service.servers[server].questions.size(); ++question)
      by_question_[service.servers[server].questions[question].id] = {&service, server, question};
  if (service.force && forced_role) {
    const auto still = std::ranges::find(config.servers, *forced_role, &Server::role);
    if (still != config.servers.end())
      service.force->server = static_cast<std::size_t>(still - config.servers.begin());
    else
      service.force.reset(), overrides_changed_ = true;
  }
  keep_observing(service, before);
  find_current(service); // a place in the old list of servers says nothing about the new one
  assess(service, now);
  touch(service);
}

RunningQuestion Gateway::take_question(const probes::Question& question, const Service& config, std::vector<RunningQuestion>& old) {
  const auto same =
      std::ranges::find(old, question, [](const RunningQuestion& running) -> const probes::Question& { return *running.question; });
  if (same != old.end()) {
    RunningQuestion kept = std::move(*same);
    old.erase(same);
    kept.window.set_rules(config.down, config.up);
    return kept;
  }
  RunningQuestion fresh{.question = &question, .id = {}, .window = Window{config.down, config.up}, .pace = {}, .last = {}};
  watch_way(question);
  fresh.pace = pace_of(config, fresh);
  fresh.id = engine_.add(question, fresh.pace,
                         std::max<Clock::duration>(question.spec.fast_interval, first_question_spacing * by_question_.size()));
  fresh.question = &engine_.question(fresh.id);
  return fresh;
}

/// The service is no longer configured: nothing is asked, its endpoints are given up, its flows depart.
void Gateway::retire(RunningService& service) {
  for (const RunningServer& server : service.servers)
    for (const RunningQuestion& question : server.questions) forget(question);
  if (const auto named = by_name_.find(service.config.name); named != by_name_.end() && named->second == &service) by_name_.erase(named);
  service.servers.clear();
  by_address_.clear();
  remember(service, {}, Clock::now());
  service.config.listen.clear();
  service.config.group.clear();
  service.would.reset();
  service.config.servers.clear();
  service.removed = true;
  service.current.reset();
  service.refused = false;
  service.failback_at.reset();
  if (service.force) {
    tell(Level::warning, service.config.name + " is no longer configured, and with it its override ends: " + service.force->reason);
    overrides_changed_ = true;
  }
  service.force.reset();
  departing_.insert(&service);
  touch(service);
}

RunningService* Gateway::find(const std::string& name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

} // namespace hanat
