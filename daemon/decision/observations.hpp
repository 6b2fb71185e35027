// What was lately learnt of a server and may change its health: kernel events that called for a probe, fails, and the passes of a server
// that is not up. Bounded, and nothing is allocated for a server that passes. Pure: `now` is an argument. Not here: counting for the
// verdict (failure_window), the words (report/make_event).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nat/clock.hpp"
#include "probes/result.hpp"

namespace hanat {

struct Observation {
  enum class Kind : std::uint8_t { event, fail, full, pass };
  Kind kind = Kind::fail;
  Time at{};
  std::string event; // of the kernel: its word
  std::string detail;
  std::size_t probe = 0; // its place in the server's list
  probes::Reason reason = probes::Reason::connected;
  Clock::duration latency{};
  unsigned count = 0, of = 0;
  bool operator==(const Observation&) const = default;
};

/// In their order. Of equal results in a row only the first and the last are kept.
class Observations {
public:
  static constexpr std::size_t at_most = 8;

  bool empty() const { return list_.empty(); }
  std::span<const Observation> all() const { return list_; }
  void add(Observation observation);
  /// Passes in a row count only as long as nothing else comes.
  void drop_passes();
  void drop_before(Time moment);
  void clear() { list_ = {}; }

private:
  std::vector<Observation> list_; // empty: without memory
};

} // namespace hanat
