// sched_setattr(), which libc does not have.
#include "daemon/util/short_slices.hpp"

#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

namespace hanat {
namespace {

// The least that the kernel gives. Probes start each millisecond, which takes a part of that.
constexpr std::uint64_t slice_ns = 100'000;

/// struct sched_attr of <linux/sched/types.h>, which clashes with libc's <sched.h>.
struct Attributes {
  std::uint32_t size, policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime, deadline, period;
};

} // namespace

void use_short_slices() {
  Attributes attributes{};
  attributes.size = sizeof attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  attributes.runtime = slice_ns;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

} // namespace hanat
