// The history of events, kept over restarts: DIR/history, one JSON value a line, appended; at 2 MiB it becomes DIR/history.old. The newest
// entries are also in memory, for `hanatctl history`. A thread of its own writes the file: a disk that hangs delays nothing.
// Not here: the text of an entry (event_text), its JSON (api/status).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/report/event.hpp"
#include "daemon/util/wall_time.hpp"
#include "daemon/util/worker_thread.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

/// The newest entries in their order, numbered from the first one ever.
class HistoryRing {
public:
  static constexpr std::size_t at_most = 4096; // 2 MiB; the files have about twice as many

  /// An entry of the kind "cut" is not kept: it updates the flip that it belongs to.
  void add(HistoryEntry entry);
  /// Flips whose cut has not ended are marked as interrupted: hanatd has restarted.
  void interrupt_cuts();
  std::uint64_t begin() const { return first_; }
  std::uint64_t end() const { return first_ + entries_.size(); }
  const HistoryEntry& operator[](std::uint64_t number) const { return entries_.at(number - first_); }
  /// The newest flip of the service; nullopt: there is none among the entries.
  std::optional<FlipStatus> last_flip(const std::string& service) const;

private:
  std::deque<HistoryEntry> entries_;
  std::uint64_t first_ = 0;
  std::unordered_map<std::string, std::uint64_t> last_flips_; // by service, of those that are among the entries
  std::deque<std::uint32_t> hashes_; // of what identifies a flip, entry by entry: a map took a tenth of the memory of all entries
};

/// Which entries somebody wants to see.
struct HistoryFilter {
  std::string service;      // with the reloads, which may have moved it; empty: all
  std::string since, until; // RFC 3339, UTC, milliseconds; empty: no limit
  bool accepts(const HistoryEntry& entry) const;
};

/// A line of the file; nullopt: a damaged one. Never throws, whatever the line is.
std::optional<HistoryEntry> parse_history_line(std::string_view line);
/// The entries in the files of DIR, as far as they can be read. Never throws, whatever the files hold.
HistoryRing read_history(const std::filesystem::path& dir);
/// Adds lines to DIR/history, or throws std::system_error.
void append_history(const std::filesystem::path& dir, const std::vector<HistoryEntry>& entries);

class History {
public:
  using Log = std::function<void(const Event&)>;
  /// `log` is called once when writing fails, and once when it works again.
  History(uv_loop_t* loop, std::filesystem::path dir, Log log);
  ~History(); // when the last line is written, or could not be
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  /// `text` is the sentence of the event.
  void add(const Event& event, std::string text);
  /// Called for each event that is added, those of the kind "cut" included, with the number of the entry that comes next.
  std::function<void(const HistoryEntry& entry, std::uint64_t next)> on_added;
  const HistoryRing& ring() const { return ring_; }
  std::uint64_t begin() const { return ring_.begin(); }
  std::uint64_t end() const { return ring_.end(); }
  const HistoryEntry& operator[](std::uint64_t number) const { return ring_[number]; }
  /// The newest flip of the service, also of before the start.
  std::optional<FlipStatus> last_flip(const std::string& service) const { return ring_.last_flip(service); }
  /// The first of the newest `number` entries that the filter accepts, from `begin` on.
  std::uint64_t first_of_last(const HistoryFilter& filter, std::uint64_t number, std::uint64_t begin) const;
  /// Is there an entry about the service?
  bool knows(const std::string& service) const;

private:
  void write();
  void written();

  std::filesystem::path dir_;
  Log log_;
  HistoryRing ring_;
  std::vector<HistoryEntry> waiting_; // not given to the thread yet
  std::vector<HistoryEntry> batch_;   // the thread's while it is busy, like failure_
  std::string failure_;
  bool failing_ = false;       // and logged
  UvHandle<uv_timer_t> pause_; // between two writes
  WorkerThread writer_;
};

} // namespace hanat
