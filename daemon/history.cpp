// Facts in memory, lines in a file.
#include "daemon/history.hpp"

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

#include "daemon/fd.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr mode_t history_mode = 0640;
constexpr std::size_t rotate_at = std::size_t{1} << 20;     // bytes: some four thousand facts
constexpr off_t read_at_most = off_t{4} << 20;              // bytes of the end of a file; a burst may make one larger than the above
constexpr std::size_t line_at_most = std::size_t{16} << 10; // bytes; ours have a few hundred
constexpr std::size_t waiting_at_most = 65'536;             // facts behind a disk that hangs

std::string_view word_of(EventKind kind) {
  switch (kind) {
  case EventKind::other: return {};
  case EventKind::flip: return "flip";
  case EventKind::cut: return "cut";
  case EventKind::health: return "health";
  case EventKind::override: return "override";
  case EventKind::target: return "target";
  case EventKind::repair: return "repair";
  }
  return {};
}

[[noreturn]] void fail_on(const std::filesystem::path& file, const char* what) {
  throw std::system_error(errno, std::generic_category(), fmt::format("{} {}", what, file.string()));
}

struct OpenFile {
  Fd fd;
  std::size_t bytes = 0;
  bool torn = false; // its last line has no end
};

/// A fifo or a link in the file's place is not written to, nor waited for.
OpenFile open_history(const std::filesystem::path& file) {
  OpenFile result;
  result.fd = Fd{open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, history_mode)};
  if (!result.fd) fail_on(file, "open");
  struct stat info {};
  if (fstat(result.fd.get(), &info) != 0) fail_on(file, "look at");
  if (!S_ISREG(info.st_mode)) {
    errno = EINVAL;
    fail_on(file, "no plain file:");
  }
  result.bytes = static_cast<std::size_t>(info.st_size);
  char last = '\n';
  if (info.st_size > 0 && pread(result.fd.get(), &last, 1, info.st_size - 1) == 1) result.torn = last != '\n';
  return result;
}

void write_whole(const Fd& fd, std::string_view text, const std::filesystem::path& file) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd.get(), text.data(), text.size());
    if (written < 0 && errno != EINTR) fail_on(file, "write");
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string end_of(const std::filesystem::path& file) {
  const Fd fd{open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  std::string text;
  std::array<char, std::size_t{64} << 10> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by pread
  for (off_t at = std::max<off_t>(0, info.st_size - read_at_most);;) {
    const ssize_t got = pread(fd.get(), buffer.data(), buffer.size(), at);
    if (got <= 0 || static_cast<off_t>(text.size()) > 2 * read_at_most) return text; // the second: somebody writes all the time
    text.append(buffer.data(), static_cast<std::size_t>(got));
    at += got;
  }
}

} // namespace

std::optional<HistoryEntry> entry_of(const Event& event, WallTime now) {
  if (event.kind == EventKind::other) return std::nullopt;
  return HistoryEntry{.at = event.flip ? event.flip->at : to_text(now),
                      .kind = std::string{word_of(event.kind)},
                      .service = event.service,
                      .text = event.text,
                      .flip = event.flip};
}

void Facts::add(HistoryEntry entry) {
  if (entry.kind == "cut") {
    const auto flip = last_flip_.find(entry.service);
    if (flip == last_flip_.end() || flip->second < first_) return;
    HistoryEntry& last = entries_[flip->second - first_];
    if (last.at == entry.at) last.flip = std::move(entry.flip);
    return;
  }
  if (entry.kind == "flip") last_flip_[entry.service] = end();
  entries_.push_back(std::move(entry));
  if (entries_.size() <= at_most) return;
  const auto oldest = last_flip_.find(entries_.front().service);
  if (oldest != last_flip_.end() && oldest->second == first_) last_flip_.erase(oldest);
  entries_.pop_front();
  ++first_;
}

std::optional<HistoryEntry> parse_history_line(std::string_view line) {
  if (line.size() > line_at_most) return std::nullopt;
  try {
    auto entry = json::parse(line).get<HistoryEntry>();
    const bool moves = entry.kind == "flip" || entry.kind == "cut";
    if (moves != entry.flip.has_value() || entry.kind.empty() || !parse_wall_time(entry.at)) return std::nullopt;
    return entry;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

Facts read_history(const std::filesystem::path& dir) {
  Facts facts;
  for (const char* name : {"history.old", "history"}) {
    const std::string text = end_of(dir / name);
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t end = std::min(text.find('\n', start), text.size());
      if (auto entry = parse_history_line(std::string_view{text}.substr(start, end - start))) facts.add(std::move(*entry));
      start = end + 1;
    }
  }
  return facts;
}

void append_history(const std::filesystem::path& dir, const std::vector<HistoryEntry>& entries) {
  std::string text;
  for (const HistoryEntry& entry : entries) text += json(entry).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  const auto file = dir / "history";
  OpenFile opened = open_history(file);
  if (opened.bytes > 0 && opened.bytes + text.size() > rotate_at) {
    if (rename(file.c_str(), (dir / "history.old").c_str()) != 0) fail_on(file, "put aside");
    opened = open_history(file);
  }
  if (opened.torn) text.insert(text.begin(), '\n'); // of a write that was cut short
  write_whole(opened.fd, text, file);
}

History::History(uv_loop_t* loop, std::filesystem::path dir, Tell tell)
    : dir_(std::move(dir)), tell_(std::move(tell)), facts_(read_history(dir_)), writer_(loop, [this] { written(); }) {}

History::~History() {
  writer_.join();
  try {
    if (!waiting_.empty()) append_history(dir_, waiting_);
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): it was told before, or nobody is left to be told
  }
}

void History::note(const Event& event, WallTime now) {
  auto entry = entry_of(event, now);
  if (!entry) return;
  if (waiting_.size() < waiting_at_most) waiting_.push_back(*entry);
  facts_.add(std::move(*entry));
  write();
}

bool History::knows(const std::string& service) const {
  for (std::uint64_t number = begin(); number < end(); ++number)
    if (facts_[number].service == service) return true;
  return false;
}

void History::write() {
  if (writer_.busy() || waiting_.empty()) return;
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
  if (failure_.empty() == told_) {
    if (told_)
      tell_(Level::notice, "the history is written again");
    else
      tell_(Level::error, fmt::format("the history cannot be written: {}; it is kept in memory alone until that works", failure_));
    told_ = !told_;
  }
  write();
}

} // namespace hanat
