// PR_SET_CHILD_SUBREAPER, and the children that the kernel lists for each thread.
#include "probes/kinds/exec_orphans.hpp"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hanat::probes {
namespace {

std::atomic<bool> adopts = false;

std::set<pid_t> children() {
  std::set<pid_t> result;
  std::error_code ignored;
  for (std::filesystem::directory_iterator thread{"/proc/self/task", ignored}, end; !ignored && thread != end; thread.increment(ignored)) {
    std::ifstream list{thread->path() / "children"};
    for (pid_t child = 0; list >> child;) result.insert(child);
  }
  return result;
}

} // namespace

void adopt_orphans() { adopts = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0; }

Orphans& orphans() {
  static Orphans& all = *std::make_unique<Orphans>().release(); // a thread that hangs in a start may outlive main()
  return all;
}

void Orphans::starting() {
  const std::scoped_lock lock{mutex_};
  ++starting_;
}

void Orphans::started(std::optional<pid_t> program) {
  const std::scoped_lock lock{mutex_};
  if (program) programs_.insert(*program);
  if (--starting_ == 0 && std::exchange(due_, false)) sweep();
}

void Orphans::ended(pid_t program) {
  const std::scoped_lock lock{mutex_};
  programs_.erase(program);
  if (!adopts) return;
  if (starting_ > 0)
    due_ = true;
  else
    sweep();
}

void Orphans::forget(pid_t program) {
  const std::scoped_lock lock{mutex_};
  programs_.erase(program);
}

void Orphans::sweep() {
  // The init of a container also gets children that others left: it only reaps them.
  const bool is_init = getpid() == 1;
  std::map<pid_t, std::set<pid_t>> left;
  for (const pid_t child : children()) {
    if (programs_.contains(child) || waitpid(child, nullptr, WNOHANG) == child) continue;
    const auto known = orphans_.find(child);
    std::set<pid_t> starters;
    for (const pid_t program : known == orphans_.end() ? programs_ : known->second)
      if (programs_.contains(program)) starters.insert(program);
    if (starters.empty() && !is_init) {
      kill(child, SIGKILL);
      if (waitpid(child, nullptr, WNOHANG) == child) continue; // otherwise the next sweep does
    }
    left.emplace(child, std::move(starters));
  }
  orphans_ = std::move(left);
}

} // namespace hanat::probes
