// Entries in memory, lines in a file.
#include "daemon/report/history.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/report/event_text.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/util/durable_write.hpp"
#include "nat/fd.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr mode_t history_mode = 0640;
constexpr std::size_t rotate_at = std::size_t{2} << 20;     // bytes: some four thousand entries
constexpr off_t read_at_most = off_t{4} << 20;              // bytes at the end of a file; a burst may make it longer than the above
constexpr std::size_t line_at_most = std::size_t{16} << 10; // bytes; hanatd's own have a few hundred
constexpr std::size_t waiting_at_most = 65'536;             // entries for a disk that hangs
constexpr std::uint64_t apart_ms = 20;                      // two writes at least: thousands may change at once

[[noreturn]] void fail_on(const std::filesystem::path& file, const char* what) {
  throw std::system_error(errno, std::generic_category(), fmt::format("{} {}", what, file.string()));
}

/// Of a flip, or of the cut of one. No two flips of a service have the same time.
std::string identity(const HistoryEntry& entry) {
  const FlipStatus flip = entry.flip.value_or(FlipStatus{});
  return fmt::format("{}\n{}\n{}\n{}", entry.service, flip.at, flip.from, flip.to);
}

std::uint32_t hash_of(const std::string& text) { return static_cast<std::uint32_t>(std::hash<std::string>{}(text)); }

struct OpenFile {
  Fd fd;
  std::size_t bytes = 0;
  bool torn = false; // its last line has no end
};

/// Refuses a fifo or a link in place of the file, without waiting for it.
OpenFile open_history(const std::filesystem::path& file) {
  OpenFile result;
  result.fd = Fd{open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, history_mode)};
  if (!result.fd) fail_on(file, "open");
  struct stat info {};
  if (fstat(result.fd.get(), &info) != 0) fail_on(file, "stat");
  if (!S_ISREG(info.st_mode)) {
    errno = EINVAL;
    fail_on(file, "not a plain file:");
  }
  result.bytes = static_cast<std::size_t>(info.st_size);
  char last = '\n';
  if (info.st_size > 0 && pread(result.fd.get(), &last, 1, info.st_size - 1) == 1) result.torn = last != '\n';
  return result;
}

std::string end_of(const std::filesystem::path& file) {
  const Fd fd{open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  std::string text;
  std::array<char, std::size_t{64} << 10> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by pread
  for (off_t at = std::max<off_t>(0, info.st_size - read_at_most);;) {
    const ssize_t got = pread(fd.get(), buffer.data(), buffer.size(), at);
    if (got <= 0 || static_cast<off_t>(text.size()) > 2 * read_at_most) return text; // the second: another program keeps writing
    text.append(buffer.data(), static_cast<std::size_t>(got));
    at += got;
  }
}

} // namespace

void HistoryRing::add(HistoryEntry entry) {
  const bool has_flip = entry.kind == "flip" || entry.kind == "cut";
  const std::string flip = has_flip ? identity(entry) : std::string{};
  const std::uint32_t hash = has_flip ? hash_of(flip) : 0;
  if (entry.kind == "cut") { // mostly of one of the newest flips
    for (std::size_t index = entries_.size(); index-- > 0;)
      if (hashes_[index] == hash && entries_[index].kind == "flip" && identity(entries_[index]) == flip) {
        entries_[index].flip = std::move(entry.flip);
        return;
      }
    return;
  }
  if (entry.flip) last_flips_[entry.service] = end();
  hashes_.push_back(hash);
  entries_.push_back(std::move(entry));
  if (entries_.size() <= at_most) return;
  if (const auto last = last_flips_.find(entries_.front().service); last != last_flips_.end() && last->second == first_)
    last_flips_.erase(last);
  hashes_.pop_front();
  entries_.pop_front();
  ++first_;
}

std::optional<FlipStatus> HistoryRing::last_flip(const std::string& service) const {
  const auto last = last_flips_.find(service);
  return last == last_flips_.end() ? std::nullopt : (*this)[last->second].flip;
}

void HistoryRing::interrupt_cuts() {
  for (HistoryEntry& entry : entries_)
    if (entry.flip && !entry.flip->cut_ms) entry.flip->interrupted = true;
}

bool HistoryFilter::accepts(const HistoryEntry& entry) const {
  const bool about = service.empty() || entry.service == service || entry.kind == "reload" || entry.kind == "role";
  return about && (since.empty() || entry.at >= since) && (until.empty() || entry.at <= until);
}

std::optional<HistoryEntry> parse_history_line(std::string_view line) {
  if (line.size() > line_at_most) return std::nullopt;
  try {
    auto entry = json::parse(line).get<HistoryEntry>();
    const bool has_flip = entry.kind == "flip" || entry.kind == "cut";
    if (has_flip != entry.flip.has_value() || entry.kind.empty() || !parse_wall_time(entry.at)) return std::nullopt;
    return entry;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

HistoryRing read_history(const std::filesystem::path& dir) {
  HistoryRing ring;
  for (const char* name : {"history.old", "history"}) {
    const std::string text = end_of(dir / name);
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = std::min(text.find('\n', start), text.size());
      if (auto entry = parse_history_line(std::string_view{text}.substr(start, end - start))) ring.add(std::move(*entry));
      start = end + 1;
    }
  }
  ring.interrupt_cuts();
  return ring;
}

void append_history(const std::filesystem::path& dir, const std::vector<HistoryEntry>& entries) {
  std::string text;
  for (const HistoryEntry& entry : entries) text += json(entry).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  const auto file = dir / "history";
  OpenFile opened = open_history(file);
  if (opened.bytes > 0 && opened.bytes + text.size() > rotate_at) {
    if (rename(file.c_str(), (dir / "history.old").c_str()) != 0) fail_on(file, "rename");
    opened = open_history(file);
  }
  if (opened.torn) text.insert(text.begin(), '\n'); // after a line whose write was interrupted
  write_all(opened.fd.get(), text, file.string());
}

History::History(uv_loop_t* loop, std::filesystem::path dir, Log log)
    : dir_(std::move(dir)), log_(std::move(log)), ring_(read_history(dir_)), pause_(make_timer(loop, this)),
      writer_(loop, [this] { written(); }) {}

History::~History() {
  writer_.join();
  try {
    if (!waiting_.empty()) append_history(dir_, waiting_);
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): it was logged before, or there is no log any more
  }
}

void History::add(const Event& event, std::string text) {
  auto entry = history_entry_of(event, std::move(text));
  if (!entry) return;
  if (waiting_.size() < waiting_at_most) waiting_.push_back(*entry);
  ring_.add(*entry);
  if (on_added) on_added(*entry, ring_.end());
  write();
}

bool History::knows(const std::string& service) const {
  for (std::uint64_t number = begin(); number < end(); ++number)
    if (ring_[number].service == service) return true;
  return false;
}

std::uint64_t History::first_of_last(const HistoryFilter& filter, std::uint64_t number, std::uint64_t begin) const {
  std::uint64_t first = end();
  for (std::uint64_t at = end(); at-- > begin && number > 0;)
    if (filter.accepts(ring_[at])) {
      first = at;
      --number;
    }
  return first;
}

void History::write() {
  if (writer_.busy() || waiting_.empty() || uv_is_active(reinterpret_cast<uv_handle_t*>(pause_.get())) != 0) return;
  batch_ = std::exchange(waiting_, {});
  const auto job = [this] {
    try {
      append_history(dir_, batch_);
      failure_.clear();
    } catch (const std::exception& error) {
      failure_ = error.what();
    }
  };
  if (writer_.run(job, {})) written();
}

void History::written() {
  batch_.clear();
  if (failure_.empty() == failing_) {
    failing_ = !failing_;
    log_(failing_ ? events::make({}, events::HistoryNotWritten{failure_}) : events::make({}, events::HistoryWritten{}));
  }
  uv_timer_start(
      pause_.get(), [](uv_timer_t* timer) { static_cast<History*>(timer->data)->write(); }, apart_ms, 0);
}

} // namespace hanat
