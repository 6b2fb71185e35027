// sd_journal_send for the journal, plain lines for stderr.
#include "daemon/report/journal.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "daemon/report/event_text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat {
namespace {

constexpr std::size_t together = 64; // lines

int priority_of(Level level) {
  switch (level) {
  case Level::info: return LOG_INFO;
  case Level::notice: return LOG_NOTICE;
  case Level::warning: return LOG_WARNING;
  case Level::error: return LOG_ERR;
  }
  return LOG_INFO;
}

/// JOURNAL_STREAM names the file by which systemd reads for the journal.
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM"); // NOLINT(concurrency-mt-unsafe): read once, before any thread
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

/// What the thread makes a line of.
struct Line {
  Event event;
  std::string text;
};

/// With the service in front.
std::string whole_text(const Line& line) {
  return line.event.service.empty() ? line.text : fmt::format("{}: {}", line.event.service, line.text);
}

void write_to_journal(const Line& line) {
  std::vector<std::string> fields{fmt::format("MESSAGE={}", whole_text(line)),
                                  fmt::format("PRIORITY={}", priority_of(level_of(line.event))), "SYSLOG_IDENTIFIER=hanatd"};
  for (const auto& [key, value] : fields_of(line.event)) fields.push_back(fmt::format("{}={}", key, value));
  std::vector<iovec> parts;
  parts.reserve(fields.size());
  for (std::string& field : fields) parts.push_back({.iov_base = field.data(), .iov_len = field.size()});
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

void write_to_stderr(const Line& line) {
  const auto ms = line.event.at.time_since_epoch().count() % 1000;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(line.event.at);
  std::tm local{};
  localtime_r(&seconds, &local);
  const std::string text =
      fmt::format("{:02}:{:02}:{:02}.{:03} {}\n", local.tm_hour, local.tm_min, local.tm_sec, ms, escaped(whole_text(line)));
  [[maybe_unused]] const auto written =
      ::write(STDERR_FILENO, text.data(), text.size()); // when stderr itself is gone there is no other way
}

} // namespace

struct Journal::Queue {
  const bool to_systemd = stderr_is_the_journal();
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Line> waiting;
  std::size_t lost = 0;
  bool writing = false, ending = false;

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ending || !waiting.empty(); });
      if (waiting.empty()) return;
      std::vector<Line> next; // several: who writes thousands of lines does not wait for the lock
      while (next.size() < together && !waiting.empty()) {
        next.push_back(std::move(waiting.front()));
        waiting.pop_front();
      }
      writing = true;
      lock.unlock();
      for (const Line& line : next) write(line);
      lock.lock();
      writing = false;
      if (waiting.empty()) changed.notify_all();
    }
  }
  void write(const Line& line) const {
    if (to_systemd)
      write_to_journal(line);
    else
      write_to_stderr(line);
  }
};

Journal::Journal() : queue_(std::make_shared<Queue>()) {
  std::thread([queue = queue_] { queue->run(); }).detach();
}

Journal::~Journal() {
  std::unique_lock lock(queue_->mutex);
  queue_->ending = true;
  queue_->changed.notify_all();
  queue_->changed.wait_for(lock, std::chrono::seconds{1}, [this] { return queue_->waiting.empty() && !queue_->writing; });
}

void Journal::write(const Event& event) const { write(event, text_of(event)); }

void Journal::write(Event event, std::string text) const {
  const std::scoped_lock lock(queue_->mutex);
  if (queue_->waiting.size() >= most_waiting) {
    ++queue_->lost;
    return;
  }
  const bool wakes = queue_->waiting.empty(); // else the thread is awake, and looks for more by itself
  if (const std::size_t lost = std::exchange(queue_->lost, 0); lost > 0) {
    const Event gap{.at = event.at, .service = {}, .what = events::MessagesLost{lost}};
    queue_->waiting.push_back({gap, text_of(gap)});
  }
  queue_->waiting.push_back({std::move(event), std::move(text)});
  if (wakes) queue_->changed.notify_all();
}

} // namespace hanat
