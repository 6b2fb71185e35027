// Two numbers in /proc.
#include "probes/conntrack_room.hpp"

#include <chrono>
#include <fstream>
#include <optional>

#include "probes/spec.hpp"

namespace hanat::probes {
namespace {

constexpr std::chrono::milliseconds age{200};
constexpr double full_part = 0.95; // the kernel throws entries out at 95 % already; at 100 % it drops what is new

double number_in(const char* path) {
  std::ifstream file{path};
  double number = 0;
  return file >> number ? number : 0;
}

} // namespace

bool conntrack_is_full() {
  static std::optional<Clock::time_point> looked;
  static bool full = false;
  const auto now = Clock::now();
  if (looked && now - *looked < age) return full;
  looked = now;
  const double most = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
  return full = most > 0 && number_in("/proc/sys/net/netfilter/nf_conntrack_count") >= full_part * most;
}

} // namespace hanat::probes
