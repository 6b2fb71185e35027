// Where events go: the systemd journal, with fields, when hanatd runs under it; else lines on stderr. A line that stderr takes
// at once is written at once, everything else on a thread of its own: a journal that hangs, or a terminal that somebody stopped, holds up
// no decision.
#pragma once

#include <cstddef>
#include <memory>

#include "daemon/events.hpp"

namespace hanat {

class Journal {
public:
  Journal();
  /// Waits a second at most for what is still to be written.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Never waits. While nobody takes them, `most_waiting` events are kept; how many were lost after that is written once somebody does.
  void write(const Event& event) const;

  static constexpr std::size_t most_waiting = 10'000; // 2 MB; a minute of 10,000 services that fail at once is 20,000

private:
  struct Queue;
  std::shared_ptr<Queue> queue_; // shared with the thread, which cannot be ended while its write waits
};

} // namespace hanat
