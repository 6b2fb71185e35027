// Compares nf_conntrack_count with nf_conntrack_max.
#include "probes/io/conntrack_usage.hpp"

#include <chrono>
#include <fstream>
#include <optional>

#include "probes/spec.hpp"

namespace hanat::probes {
namespace {

constexpr std::chrono::milliseconds cache_time{200};
constexpr double full_fraction = 0.95; // the kernel evicts entries from 95 % on; at 100 % it drops new connections

double number_in(const char* path) {
  std::ifstream file{path};
  double number = 0;
  return file >> number ? number : 0;
}

} // namespace

bool conntrack_is_full() {
  static std::optional<Clock::time_point> read_at;
  static bool full = false;
  const auto now = Clock::now();
  if (read_at && now - *read_at < cache_time) return full;
  read_at = now;
  const double max = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
  return full = max > 0 && number_in("/proc/sys/net/netfilter/nf_conntrack_count") >= full_fraction * max;
}

} // namespace hanat::probes
