// Keeps hanat's table in the kernel in sync with what is decided: one transaction for every change, what the kernel refused is tried again,
// what somebody else changed is restored. Not here: what the table should hold (desired_state), the messages (nat/nftables).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/failover/change.hpp"
#include "daemon/failover/kernel.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// The kernel makes one change after the other, whoever asks: behind somebody's huge set ours waits for seconds. Alone it is done in 25 us,
/// and so is its whole effect before the loop goes on; after this long the loop goes on without it.
inline constexpr std::chrono::milliseconds commit_patience{5};
/// The same for what no service waits for.
inline constexpr std::chrono::milliseconds aside_patience{1};

class TableSync {
public:
  enum class State : std::uint8_t {
    in_sync,
    committing, // the kernel has not answered yet
    repairing,  // read again; the change that was refused comes next
    failed,     // the kernel refused a change: it is tried again
  };
  /// Called for every change that the kernel has made, and for every one that changes nothing in the table.
  using Applied = std::function<void(Change&, Time now)>;

  TableSync(Table& table, CommitThread& thread, ServiceRegistry& registry, Outbox& outbox, Applied applied);

  /// Adopts the table that is loaded, or loads a fresh one with the same elements. Returns what it holds. Throws nat::ForeignTable,
  /// nat::TableInUse, std::system_error.
  nat::Loaded start(Time now, const nat::ProbePorts& ports = {});

  /// Before a decision: reads the table again where it must, and marks what is to be decided anew. False: nothing can be changed now.
  bool prepare(Time now);
  /// Gives the kernel what differs, in one transaction. Where it takes longer than `wait` the loop goes on, and finish_commit() follows.
  void apply(std::vector<Change> changes, Time now, Clock::duration wait = commit_patience);
  /// After a commit that took longer, once its thread has been joined: everything that came meanwhile is to be decided.
  void finish_commit(Time now);
  /// The guard drops what fits no flow, or does so no longer: with the next apply(), in its transaction.
  void set_settling(bool on) { settling_.intended = on; }
  /// What is loaded.
  bool is_settling() const { return settling_.loaded; }
  /// What no service waits for: whether replies to probes bypass conntrack, and the ports of such probes. Where the rules are for others,
  /// prepare() loads the whole table anew.
  void maintain(bool notrack, const nat::ProbePorts& ports);
  /// Renews the heartbeat, where no packet does. False: a transaction is under way.
  bool commit_heartbeat();
  /// A change of the table that no service waits for. A refusal holds up nothing, and the caller tries again; but the table may be gone.
  void change_aside(const std::function<void()>& change);
  /// The kernel told of commits.
  void on_commit();

  bool busy() const { return thread_.busy(); }
  bool is_owned() const { return table_.is_owned(); } // nobody else can change the table
  State state() const;
  /// What the kernel said last; empty while it takes changes.
  const std::string& error() const { return refusal_.error; }
  Time next_wakeup(Time now) const;

private:
  void look_for_missed_commits(Time now);
  void resync(Time now);
  void committed(Time now);
  void refused(const std::string& error, Time now);

  Table& table_;
  CommitThread& thread_; // uses table_ alone while it is busy
  ServiceRegistry& registry_;
  Outbox& outbox_;
  Applied applied_;

  State state_ = State::in_sync; // never `committing`: that is the thread's to say
  struct Refusal {
    std::string error;
    std::optional<Time> retry_at; // the transaction is tried again then
    std::chrono::milliseconds backoff{};
  };
  Refusal refusal_; // the last one; empty while the kernel takes changes
  struct Resync {
    bool due = false;    // what is loaded must be read again
    bool unread = false; // others committed all the time while it was tried
    nat::ProbePorts ports = {};
    bool for_ports = false; // due because of other ports
    Time last{};
  };
  Resync resync_;
  struct Settling {
    bool intended = false, loaded = false;
  };
  Settling settling_; // the guard's switch
  struct Pending {    // what the kernel was given, and what the thread says of it
    std::vector<Change> changes;
    std::optional<bool> settling = {};
    std::string settling_refusal = {};
    bool aside_refused = false; // of what no service waits for
    bool empty() const { return changes.empty() && !settling; }
  };
  Pending pending_;
};

} // namespace hanat
