// Paces questions. Who asks the same of the same server shares one asking, at the pace of who wants it fastest. Each has a grid of moments,
// one interval apart, from a random first one; it is asked at these moments, not an interval after the last answer, so that neither latency
// nor a busy loop makes it drift. Not here: how one question is asked (one file a kind).
#include "probes/engine.hpp"

#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <random>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "probes/kinds.hpp"
#include "probes/loop.hpp"

namespace hanat::probes {
namespace {

constexpr std::chrono::milliseconds shortest_interval{1}; // what a timer of the loop can tell apart

Pace sane(Pace pace) {
  pace.interval = std::max<Clock::duration>(pace.interval, shortest_interval);
  pace.in_flight = std::max(pace.in_flight, 1U);
  return pace;
}

/// The fastest first.
struct Faster {
  bool operator()(const Pace& one, const Pace& other) const {
    return std::pair{one.interval, other.in_flight} < std::pair{other.interval, one.in_flight};
  }
};

/// By what tells most questions apart.
std::size_t hash(const Question& question) {
  std::size_t value = std::hash<std::uint16_t>{}(question.server.port) ^ static_cast<std::size_t>(question.spec.kind) << 16;
  for (const std::uint8_t byte : question.server.address.bytes()) value = value * 31 + byte;
  return value;
}

} // namespace

Clock::duration Lateness::quantile(double part) const {
  const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(asked));
  std::uint64_t seen = 0;
  for (std::size_t index = 0; index < counts.size(); ++index)
    if (seen += counts[index]; seen > 0 && seen >= wanted) return step * static_cast<std::int64_t>(index + 1);
  return {};
}

struct Engine::Impl {
  using UnderWay = std::list<std::unique_ptr<Asking>>;

  /// One question, and everybody who wants its answers.
  struct Entry {
    Impl* engine;
    Question question;
    Timer timer;
    std::map<QuestionId, Pace> askers{};
    std::multiset<Pace, Faster> paces{};        // theirs
    Pace pace{};                                // the fastest of them
    Clock::time_point due{};                    // the next moment of the grid
    std::optional<Clock::time_point> started{}; // the last question
    std::optional<std::uint64_t> round{};       // of the loop, in which it was started
    bool waiting = false;                       // due, but `in_flight` are under way
    bool asked_for = false;                     // `due` comes from ask_now()
    bool let_pass = false;                      // the last moment passed without a question
    UnderWay under_way{};                       // they refer to `question`

    bool full() const { return under_way.size() >= pace.in_flight; }
  };
  struct Same {
    using is_transparent = void;
    using Ptr = std::unique_ptr<Entry>;
    std::size_t operator()(const Question& question) const { return hash(question); }
    std::size_t operator()(const Ptr& entry) const { return hash(entry->question); }
    bool operator()(const Ptr& one, const Ptr& other) const { return one->question == other->question; }
    bool operator()(const Question& question, const Ptr& entry) const { return question == entry->question; }
    bool operator()(const Ptr& entry, const Question& question) const { return question == entry->question; }
  };

  Impl(uv_loop_t* uv_loop, Answered on_answer, Known known_before)
      : loop(uv_loop), answered(std::move(on_answer)), known(std::move(known_before)), random(std::random_device{}()), kinds(uv_loop) {}

  Clock::duration random_part(Clock::duration whole);
  void schedule(Entry& entry, Clock::time_point due);
  void on_due(Entry& entry);
  void ask(Entry& entry);
  void tell(Entry& entry, const Answer& answer);
  Asked ask_now(const Question& question, Done done);
  void finished(Entry& entry, UnderWay::iterator slot, const Answer& answer);
  void adopt_pace(Entry& entry);
  void note_start(Clock::duration late);

  uv_loop_t* loop;
  Answered answered;
  Known known;
  std::minstd_rand random;
  std::uint64_t last_id = 0;
  std::size_t under_way = 0;
  Lateness lateness;
  Kinds kinds; // outlives the entries
  std::unordered_set<std::unique_ptr<Entry>, Same, Same> entries;
  std::unordered_map<QuestionId, Entry*> asked_by;
};

Clock::duration Engine::Impl::random_part(Clock::duration whole) {
  if (whole <= Clock::duration::zero()) return {};
  return Clock::duration{std::uniform_int_distribution<Clock::rep>{0, whole.count()}(random)};
}

void Engine::Impl::schedule(Entry& entry, Clock::time_point due) {
  entry.due = due;
  entry.waiting = false;
  const auto callback = [](uv_timer_t* timer) {
    auto& ready = *static_cast<Entry*>(timer->data);
    ready.engine->on_due(ready);
  };
  // A question of this very round waits for the next millisecond: an answer that is known at once and asks again would keep the loop from
  // everything else.
  if (due <= Clock::now() && entry.round != uv_now(loop))
    uv_timer_start(entry.timer.get(), callback, 0, 0);
  else
    start_at(*entry.timer, due, callback);
}

void Engine::Impl::on_due(Entry& entry) {
  if (entry.full()) {
    entry.waiting = true; // finished() goes on
    return;
  }
  const auto now = Clock::now();
  const auto late = now - entry.due;
  auto next = entry.due + entry.pace.interval;
  if (next <= now) { // whole intervals passed; they are not made up for
    const auto missed = late / entry.pace.interval;
    next = entry.due + (missed + 1) * entry.pace.interval;
    lateness.skipped += static_cast<std::uint64_t>(missed);
    // After a real standstill this one waits for the next moment of its grid: otherwise all questions of all servers would start in this
    // millisecond. Not twice in a row, though: a loop that is always late still asks.
    if (late > Deadline::tolerated && !entry.asked_for && !entry.let_pass) {
      ++lateness.skipped;
      entry.let_pass = true;
      schedule(entry, next);
      return;
    }
  }
  entry.let_pass = entry.asked_for = false;
  entry.started = now;
  entry.round = uv_now(loop);
  note_start(late);
  schedule(entry, next);
  ask(entry);
}

void Engine::Impl::note_start(Clock::duration late) {
  const auto step = static_cast<std::size_t>(std::max<Clock::rep>(late / Lateness::step, 0));
  ++lateness.counts[std::min(step, lateness.counts.size() - 1)];
  ++lateness.asked;
}

/// The last thing its caller does: an answer that is known at once may remove the entry.
void Engine::Impl::ask(Entry& entry) {
  const auto slot = entry.under_way.emplace(entry.under_way.end());
  ++under_way;
  auto asked = ask_now(entry.question, [&entry, slot](const Answer& answer) { entry.engine->finished(entry, slot, answer); });
  if (auto* asking = std::get_if<std::unique_ptr<Asking>>(&asked))
    *slot = std::move(*asking);
  else
    finished(entry, slot, std::get<Answer>(asked));
}

Asked Engine::Impl::ask_now(const Question& question, Done done) {
  if (known)
    if (auto answer = known(question)) return *std::move(answer);
  return kinds.ask(question, std::move(done));
}

void Engine::Impl::finished(Entry& entry, UnderWay::iterator slot, const Answer& answer) {
  entry.under_way.erase(slot);
  --under_way;
  if (entry.waiting) schedule(entry, Clock::now());
  tell(entry, answer);
}

/// The last thing its caller does: whoever is told may remove any question.
void Engine::Impl::tell(Entry& entry, const Answer& answer) {
  if (entry.askers.size() == 1) return answered(entry.askers.begin()->first, answer);
  std::vector<QuestionId> askers;
  askers.reserve(entry.askers.size());
  for (const auto& [id, pace] : entry.askers) askers.push_back(id);
  for (const QuestionId id : askers)
    if (asked_by.contains(id)) answered(id, answer);
}

void Engine::Impl::adopt_pace(Entry& entry) {
  if (entry.pace == *entry.paces.begin()) return;
  entry.pace = *entry.paces.begin();
  const auto now = Clock::now();
  if (entry.asked_for)
    schedule(entry, entry.due);
  else if (entry.started)
    schedule(entry, std::max(*entry.started + entry.pace.interval, now));
  else
    schedule(entry, std::min(entry.due, now + entry.pace.interval));
}

Engine::Engine(uv_loop_t* loop, Answered answered, Known known)
    : impl_(std::make_unique<Impl>(loop, std::move(answered), std::move(known))) {}
Engine::~Engine() = default;

QuestionId Engine::add(const Question& question, Pace pace, Clock::duration first_within) {
  const QuestionId id{++impl_->last_id};
  pace = sane(pace);
  auto found = impl_->entries.find(question);
  const bool fresh = found == impl_->entries.end();
  if (fresh) {
    impl_->kinds.add(question);
    auto entry =
        std::make_unique<Impl::Entry>(Impl::Entry{.engine = impl_.get(), .question = question, .timer = make_timer(impl_->loop, nullptr)});
    entry->timer->data = entry.get();
    entry->pace = pace;
    impl_->schedule(*entry, Clock::now() + impl_->random_part(std::min(pace.interval, first_within)));
    found = impl_->entries.insert(std::move(entry)).first;
  }
  Impl::Entry& entry = **found;
  entry.askers.emplace(id, pace);
  entry.paces.insert(pace);
  impl_->asked_by.emplace(id, &entry);
  if (!fresh) impl_->adopt_pace(entry);
  return id;
}

const Question& Engine::question(QuestionId id) const { return impl_->asked_by.at(id)->question; }

void Engine::remove(QuestionId id) {
  const auto found = impl_->asked_by.find(id);
  if (found == impl_->asked_by.end()) return;
  Impl::Entry& entry = *found->second;
  impl_->asked_by.erase(found);
  const auto asker = entry.askers.find(id);
  entry.paces.erase(entry.paces.find(asker->second));
  entry.askers.erase(asker);
  if (!entry.askers.empty()) {
    impl_->adopt_pace(entry);
    return;
  }
  const auto gone = impl_->entries.extract(impl_->entries.find(entry.question)); // out of the table before anything of it is destroyed
  impl_->under_way -= entry.under_way.size();
  impl_->kinds.remove(entry.question);
}

void Engine::pace(QuestionId id, Pace pace) {
  const auto found = impl_->asked_by.find(id);
  if (found == impl_->asked_by.end()) return;
  Impl::Entry& entry = *found->second;
  Pace& own = entry.askers.at(id);
  entry.paces.erase(entry.paces.find(own));
  entry.paces.insert(own = sane(pace));
  impl_->adopt_pace(entry);
}

void Engine::ask_now(QuestionId id) {
  const auto found = impl_->asked_by.find(id);
  if (found == impl_->asked_by.end()) return;
  Impl::Entry& entry = *found->second;
  entry.asked_for = true;
  if (!entry.waiting) impl_->schedule(entry, Clock::now());
}

std::size_t Engine::under_way() const { return impl_->under_way; }
const Lateness& Engine::lateness() const { return impl_->lateness; }

} // namespace hanat::probes
