// sd_journal_send for the journal, plain lines for everybody else.
#include "daemon/journal.hpp"

#include <array>
#include <cctype>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace hanat {
namespace {

int priority_of(Level level) {
  switch (level) {
  case Level::info: return LOG_INFO;
  case Level::notice: return LOG_NOTICE;
  case Level::warning: return LOG_WARNING;
  case Level::error: return LOG_ERR;
  }
  return LOG_INFO;
}

/// systemd tells in JOURNAL_STREAM which file the journal is behind.
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM"); // NOLINT(concurrency-mt-unsafe): read once, before any thread
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

void write_to_journal(const Event& event, const std::string& text) {
  std::vector<std::string> fields{fmt::format("MESSAGE={}", text), fmt::format("PRIORITY={}", priority_of(event.level)),
                                  "SYSLOG_IDENTIFIER=hanatd"};
  if (!event.service.empty()) fields.push_back(fmt::format("HANAT_SERVICE={}", event.service));
  for (const auto& [key, value] : event.fields) fields.push_back(fmt::format("HANAT_{}={}", key, value));
  std::vector<iovec> parts;
  parts.reserve(fields.size());
  for (std::string& field : fields) parts.push_back({.iov_base = field.data(), .iov_len = field.size()});
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

/// An event, and when it happened.
struct Dated {
  Event event;
  std::chrono::system_clock::time_point at;
};

void write_to_stderr(const Dated& dated, const std::string& text) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(dated.at.time_since_epoch()).count() % 1000;
  const std::string line = fmt::format("{:%H:%M:%S}.{:03} {}\n", fmt::localtime(std::chrono::system_clock::to_time_t(dated.at)), ms, text);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size()); // nobody to tell when stderr itself is gone
}

/// Whether a line can be written without waiting for whoever reads: a pipe has room for a page then.
bool stderr_takes_a_line() {
  pollfd polled{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&polled, 1, 0) == 1 && (polled.revents & POLLOUT) != 0;
}

} // namespace

struct Journal::Queue {
  const bool to_systemd = stderr_is_the_journal();
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Dated> waiting;
  std::size_t lost = 0;
  bool writing = false, ending = false;

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ending || !waiting.empty(); });
      if (waiting.empty()) return;
      const Dated next = std::move(waiting.front());
      waiting.pop_front();
      writing = true;
      lock.unlock();
      write(next);
      lock.lock();
      writing = false;
      if (waiting.empty()) changed.notify_all();
    }
  }
  void write(const Dated& dated) const {
    const Event& event = dated.event;
    const std::string text = event.service.empty() ? event.text : fmt::format("{}: {}", event.service, event.text);
    if (to_systemd)
      write_to_journal(event, text);
    else
      write_to_stderr(dated, text);
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

void Journal::write(const Event& event) const {
  const auto now = std::chrono::system_clock::now();
  const std::scoped_lock lock(queue_->mutex);
  const bool idle = queue_->waiting.empty() && !queue_->writing && queue_->lost == 0;
  if (idle && !queue_->to_systemd && stderr_takes_a_line()) return queue_->write({event, now});
  if (queue_->waiting.size() >= most_waiting) {
    ++queue_->lost;
    return;
  }
  if (const std::size_t lost = std::exchange(queue_->lost, 0); lost > 0)
    queue_->waiting.push_back(
        {{.level = Level::warning,
          .service = {},
          .text = fmt::format("{} messages before this one were lost: whoever reads them had stopped; `hanatctl status` "
                              "has what is so now",
                              lost)},
         now});
  queue_->waiting.push_back({event, now});
  queue_->changed.notify_all();
}

} // namespace hanat
