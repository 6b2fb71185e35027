// The gateway at work: it holds every running service and, in one function called after the events of each turn of the loop, makes the
// kernel agree with what is decided. Everything that acts is started from settle(). Not here: how anything is decided (decision, health,
// wanted), bytes (nat).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <uv.h>

#include "daemon/config.hpp"
#include "daemon/cut_worker.hpp"
#include "daemon/events.hpp"
#include "daemon/running_service.hpp"
#include "daemon/side_thread.hpp"
#include "daemon/state.hpp"
#include "daemon/uv_handle.hpp"
#include "daemon/wanted.hpp"
#include "nat/cut.hpp"
#include "nat/kernel.hpp"
#include "probes/engine.hpp"
#include "probes/signals.hpp"
#include "probes/ways.hpp"

namespace hanat {

/// The names of the services that a reload touched.
struct Reloaded {
  std::vector<std::string> added, changed, removed;
};

/// How the table in the kernel stands to what is wanted.
enum class KernelState : std::uint8_t { in_step, repairing, failed };

class Gateway {
public:
  using Publish = std::function<void(const Event&)>;

  /// Without `telling` no client is nudged; the rest works.
  Gateway(uv_loop_t* loop, nat::Kernel kernel, nat::Cutter cutter, std::optional<Telling> telling, Publish publish);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Adopts the table that is loaded, or loads a fresh one, and begins to probe. Throws nat::ForeignTable, std::system_error.
  void start(const Config& config, const State& kept);
  /// Changes what differs and nothing else.
  Reloaded reload(const Config& config);
  /// on_stop: keeps the table as it is, or removes it. Nothing is asked or done afterwards; the loop ends when a cut under way has.
  void stop();

  using Services = std::vector<std::unique_ptr<RunningService>>;
  const Services& services() const { return services_; }
  RunningService* find(const std::string& name);
  /// The services of its group, itself included: what is forced is forced for all.
  std::span<RunningService* const> fate_of(RunningService*& service);
  /// Sets or ends overrides; act() then makes them so, all in one transaction. What came of it stands in the services.
  void force(RunningService& service, Force force);
  void end_override(RunningService& service);
  void act();
  /// What the state file is to hold.
  State state() const;
  /// Called when an override or a drain began or ended, after the table is in step with it: the state file is out of date. Who changed an
  /// override waits until it is in the file.
  enum class Urgency : std::uint8_t { now, soon };
  std::function<void(Urgency)> on_state_changed;

  KernelState kernel_state() const { return kernel_state_; }
  const std::string& kernel_error() const { return kernel_error_; }
  bool owns_table() const { return kernel_.owns_table(); }

private:
  /// The kernel takes one change after the other, whoever makes them: behind somebody's huge set ours waits for seconds. Alone it is done
  /// in 25 us, and so is its whole effect before the loop goes on; after this long the loop goes on without it.
  static constexpr std::chrono::milliseconds patience{5};

  /// One service's decision, and what follows from it.
  struct Change {
    std::size_t fate; // changes with the same one are made together or not at all
    RunningService* service;
    Decision decision;
    Wanted wanted;
    std::string refusal{}; // the kernel's; empty: made
    std::chrono::microseconds took{};
  };
  /// Whose departures are in the conntrack cut that is under way.
  struct JobPart {
    RunningService* service;
    std::uint64_t departure;
  };

  // settle, in its order
  void settle(Time now);
  void ring_alarms(Time now);
  void look_for_missed_commits(Time now);
  void resync(Time now);
  std::vector<Change> decide(Time now);
  void decide(std::span<RunningService* const> fate, Time now, std::vector<Change>& changes);
  void look_at(std::span<RunningService* const> fate, Time now);
  void expire_force(RunningService& service);
  bool held_back(const RunningService& service, const Wanted& wanted);
  void commit(std::vector<Change> changes, Time now);
  void send(Time decided);
  void send(std::span<Change> changes, Time decided);
  void committed(Time now);
  void finish_commit();
  void wait_for_kernel();
  void change_aside(const std::function<void()>& change);
  void applied(Change& change, Time now);
  static void take_out(std::vector<Mapping>& mappings, std::span<const Mapping> others);
  static void note_moved(RunningService& service, const nat::Rules& rules, const Vip& vip, Time until);
  void observed(Change& change, Time now);
  static void forget_override(RunningService& service);
  void note_departures(Change& change, bool flipped, Time now);
  void leave_departures(RunningService& service, const Wanted& wanted, Time now);
  void record_flip(RunningService& service, const Change& change);
  enum class Need : std::uint8_t;
  static Need need_of(const Departure& departure);
  void start_cut(Time now);
  void advance(RunningService& service, Departure& departure, const nat::CutCount& count, const CutResult& result, Time now);
  static void end_departure(RunningService& service, std::uint64_t id);

  // flows that stay a while (gateway_drain.cpp)
  void begin_drain(RunningService& service, Departure& departure, Time now);
  void drain_on(RunningService& service, Departure& departure, const CutResult& result, Time now);
  void tell_of_drain(RunningService& service, const Departure& departure, const Wanted& wanted, Time now);
  void restore(const std::vector<KeptDrain>& drains, Time now);
  std::vector<KeptDrain> kept_drains() const;

  // flows that are where they should not be (gateway_reconcile.cpp)
  bool cut_is_due(Time now) const;
  nat::Ledger ledger(Time now);
  void start_reconcile(Time now);
  void reconciled(const CutResult& result, Time now);
  void chase(RunningService& service, const nat::Flows& strays, Time now);
  void remember(const RunningService& service, const std::vector<Vip>& still, Time now);
  void give_up(const Mapping& mapping, const std::string& service, Time now);
  RunningService& gone_service(const std::string& name);

  // the rest of settle
  static void add_clients(CutJob& job, const RunningService& service, const Departure& departure);
  static void count_told(RunningService& service, const Departure& departure, const CutResult& result);
  void false_alarm(RunningService& service);
  void add_held(CutJob& job);
  void beat(Time now);
  void set_pace(RunningService& service);
  void finish(RunningService& service, Time now);
  void bury(const std::vector<RunningService*>& settled);
  void arm_timer(Time now);
  void publish();

  // events from outside: they change what is known; settle() follows before the loop waits again, once for all that came together
  void answered(probes::QuestionId id, const probes::Answer& answer);
  void cut_done(const CutResult& result);
  static void on_watch(uv_poll_t* poll, int, int) { static_cast<Gateway*>(poll->data)->table_touched(); }
  void table_touched();
  void settle_soon() { settle_due_ = true; }
  void settle_if_due();

  // the kernel's signals (gateway_signals.cpp)
  void signalled(const probes::Signal& signal);
  void ask_now(RunningService& service, const Endpoint& at);
  const std::vector<RunningService*>& services_on(const Address& address);
  void watch_way(const probes::Question& question);
  void forget(const RunningQuestion& question);
  std::optional<probes::Answer> known_before(const probes::Question& question);
  probes::Answer believed(const probes::Answer& answer, probes::Kind kind, Time now);
  void follow_conntrack();
  void note_blindness(bool was, const probes::Answer& now);

  // building and rebuilding services (gateway_config.cpp)
  RunningService& add_service(const std::string& name);
  void configure(RunningService& service, const Service& config, Time now);
  RunningQuestion take_question(const probes::Question& question, const Service& config, std::vector<RunningQuestion>& old);
  void adopt_rules(nat::Rules rules, Time now);
  void resume(RunningService& service, Time now);
  void hand_over_endpoints(Time now);
  void hand_over_departures(RunningService& from, RunningService& to, const Vip& vip, Time now);
  void fit_ranges(Time now);
  void give_ports(RunningService& from, RunningService& to, const Vip& old, const Vip& listen, Time now);
  void restore(const Override& kept, Time now);
  static void find_current(RunningService& service);
  static void begin_to_observe(RunningService& service);
  void keep_observing(RunningService& service, const std::vector<RunningServer>& before);
  void retire(RunningService& service);
  nat::Rules all_loaded() const;

  // services with one fate (gateway_group.cpp)
  void regroup();
  void share_override(std::span<RunningService* const> group);
  void complete_groups();

  void touch(RunningService& service);
  void kernel_failed(const std::string& error, Time now);
  void tell(Level level, std::string text);

  Publish publish_;
  nat::Kernel kernel_;
  Services services_;
  std::unordered_map<std::string, RunningService*> by_name_;   // not the removed ones
  std::map<std::string, std::vector<RunningService*>> groups_; // by name
  struct Asked {
    RunningService* service;
    std::size_t server, question;
  };
  std::unordered_map<probes::QuestionId, Asked> by_question_;
  std::map<Address, std::vector<RunningService*>> by_address_; // of the servers; empty: to be made at the next signal
  std::size_t blind_questions_ = 0;                            // whose last answer was blind

  OnStop on_stop_ = OnStop::keep;
  KernelState kernel_state_ = KernelState::in_step;
  bool stopped_ = false;
  bool settle_due_ = false;
  bool overrides_changed_ = false;
  bool drains_changed_ = false;
  bool resync_ = false;       // what is loaded must be read again
  bool unread_ = false;       // somebody committed all the time while it was tried
  bool resync_aside_ = false; // the committer's word
  bool conntrack_full_ = false;
  bool untracked_works_ = false; // an answer came although the table of connections is full
  Time conntrack_full_since_{};
  std::vector<RunningService*> dirty_;
  std::set<std::pair<Time, RunningService*>> alarms_;
  std::set<RunningService*> departing_; // with flows on their way out, or removed
  std::vector<Event> events_;

  std::string kernel_error_;
  std::optional<Time> kernel_retry_; // a refused transaction is tried again then
  std::chrono::milliseconds kernel_backoff_{};
  Time last_resync_{};

  std::vector<Change> committing_; // what the kernel was given
  std::uint64_t next_departure_ = 0;
  std::vector<JobPart> job_;
  std::optional<Time> cut_retry_;
  bool job_yields_ = false; // what is only read gives way to a cut
  bool reconciling_ = false;
  Clock::duration reconcile_period_{};
  Time next_reconcile_{};
  struct GivenUp {
    std::string service;
    Time until;
  };
  std::map<Mapping, GivenUp> given_up_;        // endpoints that were hanat's a while ago
  std::set<RunningService*> held_for_nothing_; // whose clients were refused by a target that is fit after all
  std::optional<Time> next_beat_;              // while some refusal would be held

  std::unique_ptr<probes::Signals> signals_; // until stop()
  probes::Engine engine_;
  CutWorker cutter_;
  SideThread committer_; // uses kernel_ alone while it is busy
  UvHandle<uv_timer_t> timer_;
  UvHandle<uv_poll_t> watch_;
  UvHandle<uv_prepare_t> after_timers_;
  UvHandle<uv_check_t> after_sockets_;
};

} // namespace hanat
