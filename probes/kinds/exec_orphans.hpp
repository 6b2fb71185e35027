// What the programs of exec probes leave behind: a process that made a session of its own is not killed with its program's group. It
// becomes a child of hanatd, which ends it when no program runs any more that may have started it. Not here: starting programs
// (exec_spawn).
#pragma once

#include <map>
#include <set>

#include <sys/types.h>

namespace hanat::probes {

/// From now on such processes become children of this one. Only for a process whose children are all programs of probes.
void adopt_orphans();

/// For one thread.
class Orphans {
public:
  void started(pid_t program) { programs_.insert(program); }
  /// It has ended, and was reaped: ends and reaps what is left of it.
  void ended(pid_t program);

private:
  void sweep();

  std::set<pid_t> programs_;
  std::map<pid_t, std::set<pid_t>> orphans_; // each with the programs that may have started it
};

} // namespace hanat::probes
