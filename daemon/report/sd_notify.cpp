// A queue before sd_notify(), and two timers: the watchdog, the line.
#include "daemon/report/sd_notify.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace hanat {
namespace {

constexpr std::uint64_t status_pause_ms = 200; // ten thousand services that flip together are one line
constexpr std::size_t most_waiting = 16;       // messages for a systemd that does not read them
constexpr const char* watchdog_message = "WATCHDOG=1";
constexpr const char* status_key = "STATUS=";

} // namespace

std::string summary(const std::vector<std::unique_ptr<ServiceState>>& services) {
  std::size_t all = 0, primary = 0, backup = 0, none = 0, starting = 0, forced = 0;
  for (const auto& service : services) {
    if (service->removed) continue;
    ++all;
    if (service->force) ++forced;
    if (service->current == std::optional<std::size_t>{0})
      ++primary;
    else if (service->current)
      ++backup;
    else
      ++(service->refused ? none : starting);
  }
  std::string text = fmt::format("{} service{}", all, all == 1 ? "" : "s");
  const char* separator = ": ";
  const auto add = [&](std::size_t count, const char* what) {
    if (count > 0) text += fmt::format("{}{} {}", std::exchange(separator, ", "), count, what);
  };
  add(primary, "at the primary");
  add(backup, "at a backup");
  add(none, "without a server");
  add(starting, "starting");
  if (forced > 0) text += fmt::format("; {} forced", forced);
  return text;
}

/// What waits to be sent: the newest status only, and the watchdog's message once.
struct SdNotify::Queue {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> waiting;
  bool sending = false, ending = false;

  void add(std::string message) {
    const std::scoped_lock lock{mutex};
    const bool replaces = message.starts_with(status_key) || message == watchdog_message;
    const auto same_kind = [&](const std::string& other) {
      return message == watchdog_message ? other == message : other.starts_with(status_key);
    };
    if (replaces) std::erase_if(waiting, same_kind);
    if (waiting.size() >= most_waiting) waiting.pop_front();
    waiting.push_back(std::move(message));
    changed.notify_all();
  }
  void run() {
    std::unique_lock lock{mutex};
    while (true) {
      changed.wait(lock, [this] { return ending || !waiting.empty(); });
      if (waiting.empty()) return;
      const std::string next = std::move(waiting.front());
      waiting.pop_front();
      sending = true;
      lock.unlock();
      sd_notify(0, next.c_str());
      lock.lock();
      sending = false;
      if (waiting.empty()) changed.notify_all();
    }
  }
};

SdNotify::SdNotify(uv_loop_t* loop, std::function<std::string()> status)
    : loop_(loop), status_(std::move(status)), soon_(make_timer(loop, this)) {
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return; // NOLINT(concurrency-mt-unsafe): nothing sets it
  queue_ = std::make_shared<Queue>();
  std::thread([queue = queue_] { queue->run(); }).detach();
}

SdNotify::~SdNotify() {
  if (!queue_) return;
  std::unique_lock lock{queue_->mutex};
  queue_->ending = true;
  queue_->changed.notify_all();
  queue_->changed.wait_for(lock, std::chrono::seconds{1}, [this] { return queue_->waiting.empty() && !queue_->sending; });
}

void SdNotify::send(std::string message) const {
  if (queue_) queue_->add(std::move(message));
}

void SdNotify::ready() {
  std::uint64_t period_us = 0;
  if (sd_watchdog_enabled(0, &period_us) > 0) {
    watchdog_ = make_timer(loop_, this);
    const std::uint64_t half_ms = std::max<std::uint64_t>(period_us / 2000, 1);
    uv_timer_start(
        watchdog_.get(), [](uv_timer_t* timer) { static_cast<const SdNotify*>(timer->data)->send(watchdog_message); }, half_ms, half_ms);
  }
  send("READY=1\nSTATUS=" + status_());
}

void SdNotify::reloading() const { send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", uv_hrtime() / 1000)); }

void SdNotify::reloaded() const { send("READY=1\nSTATUS=" + status_()); }

void SdNotify::stopping() {
  send("STOPPING=1\nSTATUS=stopping");
  watchdog_.reset();
  soon_.reset();
}

void SdNotify::changed() {
  if (!queue_ || !soon_ || uv_is_active(reinterpret_cast<const uv_handle_t*>(soon_.get())) != 0) return;
  uv_timer_start(
      soon_.get(), [](uv_timer_t* timer) { static_cast<const SdNotify*>(timer->data)->send_status(); }, status_pause_ms, 0);
}

void SdNotify::send_status() const { send(status_key + status_()); }

} // namespace hanat
