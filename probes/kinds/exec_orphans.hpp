// What programs (exec probes, hooks) leave behind: a process that made a session of its own is not killed with its program's group. It
// becomes a child of hanatd, which ends it when no program runs any more that may have started it. Not here: starting programs
// (exec_spawn).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>

#include <sys/types.h>

namespace hanat::probes {

/// From now on such processes become children of this one. Only for a process whose children are all programs of a Spawner.
void adopt_orphans();

/// For all threads.
class Orphans {
public:
  /// A program is about to be started: until started(), nobody knows which child it is, and none is ended.
  void starting();
  /// nullopt: it could not be started.
  void started(std::optional<pid_t> program);
  /// It has ended, and was reaped: ends and reaps what is left of it.
  void ended(pid_t program);
  /// It has ended, and what is left of it is left alone.
  void forget(pid_t program);

private:
  void sweep();

  std::mutex mutex_; // guards all of these
  unsigned starting_ = 0;
  bool due_ = false; // a program has ended meanwhile
  std::set<pid_t> programs_;
  std::map<pid_t, std::set<pid_t>> orphans_; // each with the programs that may have started it
};

/// Those of this process.
Orphans& orphans();

} // namespace hanat::probes
