// sd_journal_send for the journal, plain lines for everybody else.
#include "daemon/journal.hpp"

#include <array>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
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

} // namespace

Journal::Journal() : to_systemd_(stderr_is_the_journal()) {}

void Journal::write(const Event& event) const {
  const std::string text = event.service.empty() ? event.text : fmt::format("{}: {}", event.service, event.text);
  if (to_systemd_) {
    std::vector<std::string> fields{fmt::format("MESSAGE={}", text), fmt::format("PRIORITY={}", priority_of(event.level)),
                                    "SYSLOG_IDENTIFIER=hanatd"};
    if (!event.service.empty()) fields.push_back(fmt::format("HANAT_SERVICE={}", event.service));
    for (const auto& [key, value] : event.fields) fields.push_back(fmt::format("HANAT_{}={}", key, value));
    std::vector<iovec> parts;
    parts.reserve(fields.size());
    for (std::string& field : fields) parts.push_back({.iov_base = field.data(), .iov_len = field.size()});
    sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
    return;
  }
  const auto now = std::chrono::system_clock::now();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  const std::string line = fmt::format("{:%H:%M:%S}.{:03} {}\n", fmt::localtime(std::chrono::system_clock::to_time_t(now)), ms, text);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size()); // nobody to tell when stderr itself is gone
}

} // namespace hanat
