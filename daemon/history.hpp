// What happened, kept over restarts: DIR/history, one JSON value a line, appended; at 1 MiB it becomes DIR/history.old. The newest facts
// are in memory, too, and answer `hanatctl history`. Written on a thread of its own: a disk that hangs holds up nobody. Not here: the
// sentences (words), the JSON of a fact (status).
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

#include "daemon/events.hpp"
#include "daemon/side_thread.hpp"
#include "daemon/walltime.hpp"

namespace hanat {

/// What an event adds; nullopt: nothing. Its kind is "cut" where it only says what became of the service's last flip.
std::optional<HistoryEntry> entry_of(const Event& event, WallTime now);

/// Facts in their order, numbered from the first that ever was.
class Facts {
public:
  static constexpr std::size_t at_most = 4096; // 2 MiB; the files have about twice as many

  void add(HistoryEntry entry);
  std::uint64_t begin() const { return first_; }
  std::uint64_t end() const { return first_ + entries_.size(); }
  const HistoryEntry& operator[](std::uint64_t number) const { return entries_.at(number - first_); }

private:
  std::deque<HistoryEntry> entries_;
  std::uint64_t first_ = 0;
  std::unordered_map<std::string, std::uint64_t> last_flip_; // by service
};

/// A line of the file; nullopt: a damaged one. Never throws for what it is given.
std::optional<HistoryEntry> parse_history_line(std::string_view line);
/// What the files of DIR have, as far as it can be read. Never throws for what it finds there.
Facts read_history(const std::filesystem::path& dir);
/// Adds lines to DIR/history, or throws std::system_error.
void append_history(const std::filesystem::path& dir, const std::vector<HistoryEntry>& entries);

class History {
public:
  using Tell = std::function<void(Level, const std::string&)>;
  /// `tell` hears once that writing fails, and once that it works again.
  History(uv_loop_t* loop, std::filesystem::path dir, Tell tell);
  ~History(); // after the last line is written, or could not be
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  void note(const Event& event, WallTime now);
  std::uint64_t begin() const { return facts_.begin(); }
  std::uint64_t end() const { return facts_.end(); }
  const HistoryEntry& operator[](std::uint64_t number) const { return facts_[number]; }
  /// Is there a fact about the service?
  bool knows(const std::string& service) const;

private:
  void write();
  void written();

  std::filesystem::path dir_;
  Tell tell_;
  Facts facts_;
  std::vector<HistoryEntry> waiting_; // for the thread
  std::vector<HistoryEntry> batch_;   // the thread's while it is busy, as is failure_
  std::string failure_;
  bool told_ = false;
  SideThread writer_;
};

} // namespace hanat
