// Writes events to the systemd journal, with fields, when hanatd runs under systemd; otherwise as lines to stderr. Always on a thread of
// its own: neither a journal that hangs nor a pipe that nobody reads delays a decision. Not here: the sentences (event_text).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "daemon/report/event.hpp"

namespace hanat {

class Journal {
public:
  Journal();
  /// Waits at most a second until everything is written.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Never waits. While nothing reads them, `most_waiting` events are kept; when something reads again, the number of lost ones is written.
  /// `text` is the sentence of the event.
  void write(Event event, std::string text) const;
  void write(const Event& event) const;

  static constexpr std::size_t most_waiting = 10'000; // 4 MB; 10,000 services that fail at once write 20,000 in a minute

private:
  struct Queue;
  std::shared_ptr<Queue> queue_; // shared with the thread, which cannot be ended while it waits in a write
};

} // namespace hanat
