// One timer for all names.
#include "daemon/names/names.hpp"

#include <chrono>
#include <utility>

namespace hanat {
namespace {

using namespace std::chrono_literals;

// A machine may have come up without its network, and a DHCP client writes /etc/resolv.conf when it likes.
constexpr auto servers_hold = 10s;
// Answers that come together, as of A and AAAA or of many names at a start, change the services in one reload.
constexpr std::uint64_t together_ms = 20;

bool fails_by_resolver(const NameRecord& record) { return record.failure && record.failure->is_of_resolver; }

} // namespace

Names::Names(uv_loop_t* loop, Owner owner)
    : owner_(std::move(owner)), timer_(make_timer(loop, this)), changed_(make_timer(loop, this)),
      resolver_(loop, [this](const NameQuery& query, NameAnswer answer) { take(query, std::move(answer)); }) {}

void Names::restore(const std::vector<SavedName>& saved) {
  for (const SavedName& one : saved) {
    NameRecord& record = records_[{.name = one.name, .family = one.address.family()}];
    record.address = one.address;
    record.known = true;
  }
}

void Names::configure(const Config& config) {
  const auto queries = queries_of(config);
  std::erase_if(records_, [&](const auto& entry) { return !queries.contains(entry.first); });
  const Time now = Clock::now();
  agenda_.clear();
  failing_by_resolver_ = 0;
  for (const NameQuery& query : queries) {
    NameRecord& record = records_[query];
    if (!record.pending) record.ask_at = now; // a reload asks for all of them
    failing_by_resolver_ += fails_by_resolver(record) ? 1U : 0U;
    plan(query, record);
  }
  if (!queries.empty()) {
    server_ = config.resolver;
    servers_in_doubt_ = false;
    servers_read_at_ = now;
    resolver_.use(server_);
  }
  run();
}

std::shared_ptr<const Config> Names::fill(const std::shared_ptr<const Config>& config) const {
  if (!has_names(*config)) return config;
  return std::make_shared<const Config>(fill_in(*config, [this](const NameQuery& query) { return find(query); }));
}

const NameRecord* Names::find(const NameQuery& query) const {
  const auto found = records_.find(query);
  return found == records_.end() ? nullptr : &found->second;
}

std::vector<SavedName> Names::saved() const {
  std::vector<SavedName> saved;
  for (const auto& [query, record] : records_)
    if (record.address) saved.push_back({.name = query.name, .address = *record.address});
  return saved;
}

/// What is due. Never inside a callback of the resolver, whose channel may be replaced here.
void Names::run() {
  const Time now = Clock::now();
  if (servers_in_doubt_ && now - servers_read_at_ >= servers_hold) {
    servers_in_doubt_ = false;
    servers_read_at_ = now;
    resolver_.use(server_);
  }
  std::vector<NameQuery> due; // an answer may come at once
  while (!agenda_.empty() && agenda_.begin()->first <= now) {
    const NameQuery query = agenda_.extract(agenda_.begin()).mapped();
    const auto found = records_.find(query);
    if (found == records_.end()) continue;
    NameRecord& record = found->second;
    if (give_up_waiting(record, now)) tell_soon();
    if (record.pending || record.ask_at > now) continue;
    note_query(record, now);
    plan(query, record);
    due.push_back(query);
  }
  for (const NameQuery& query : due) resolver_.ask(query);
  wake_up();
}

void Names::take(const NameQuery& query, NameAnswer answer) {
  const auto found = records_.find(query);
  if (found == records_.end() || !found->second.pending) return; // a reload took the name away
  NameRecord& record = found->second;
  const bool failed = fails_by_resolver(record);
  const NameChange change = take_answer(record, std::move(answer), Clock::now(), wall_now());
  if (fails_by_resolver(record)) servers_in_doubt_ = true;
  if (failed) --failing_by_resolver_;
  if (fails_by_resolver(record)) ++failing_by_resolver_;
  if (change.address || change.known) tell_soon();
  if (change.fails && owner_.fails) owner_.fails(query, record);
  if (change.recovers && owner_.recovers) owner_.recovers(query, record);
  plan(query, record);
  wake_up();
}

void Names::tell_soon() {
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(changed_.get())) != 0) return;
  uv_timer_start(
      changed_.get(), [](uv_timer_t* timer) { static_cast<Names*>(timer->data)->owner_.changed(); }, together_ms, 0);
}

void Names::plan(const NameQuery& query, const NameRecord& record) {
  if (const auto moment = next_wakeup(record)) agenda_.emplace(*moment, query);
}

void Names::wake_up() {
  if (agenda_.empty())
    uv_timer_stop(timer_.get());
  else
    probes::start_at(*timer_, agenda_.begin()->first, [](uv_timer_t* timer) { static_cast<Names*>(timer->data)->run(); });
}

} // namespace hanat
