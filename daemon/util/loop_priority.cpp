// sched_setattr() and /proc/self/autogroup.
#include "daemon/util/loop_priority.hpp"

#include <cstdint>
#include <fstream>
#include <string>

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hanat {
namespace {

// About ten times the share of a program that was given none. A real-time priority would do no more for probes, and a loop that does not
// end would take the gateway with it.
constexpr int niceness = -10;

/// As the kernel has it; the libraries of some releases do not name it.
struct Attributes {
  std::uint32_t size = sizeof(Attributes), policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0, deadline = 0, period = 0;
};

void prefer_session() {
  if (getsid(0) != getpid()) return; // it was started by hand: its shell and what else runs there are in the same one
  std::ifstream now{"/proc/self/autogroup"};
  std::string name, word;
  int given = 0;
  if (!(now >> name >> word >> given) || given != 0) return;
  std::ofstream{"/proc/self/autogroup"} << niceness;
}

} // namespace

void prefer_this_thread() {
  if (getpriority(PRIO_PROCESS, 0) != 0) return;
  constexpr std::uint64_t not_inherited = 1; // SCHED_FLAG_RESET_ON_FORK
  const Attributes wanted{.flags = not_inherited, .nice = niceness};
  if (syscall(SYS_sched_setattr, 0, &wanted, 0) == 0) prefer_session();
}

} // namespace hanat
