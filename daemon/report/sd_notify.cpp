// sd_notify() and two timers: the watchdog, the line.
#include "daemon/report/sd_notify.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace hanat {
namespace {

constexpr std::uint64_t status_pause_ms = 200; // ten thousand services that flip together are one line

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

SdNotify::SdNotify(uv_loop_t* loop, std::function<std::string()> status)
    : loop_(loop), status_(std::move(status)), soon_(make_timer(loop, this)) {}

void SdNotify::ready() {
  std::uint64_t period_us = 0;
  if (sd_watchdog_enabled(0, &period_us) > 0) {
    watchdog_ = make_timer(loop_, this);
    const std::uint64_t half_ms = std::max<std::uint64_t>(period_us / 2000, 1);
    uv_timer_start(
        watchdog_.get(), [](uv_timer_t*) { sd_notify(0, "WATCHDOG=1"); }, half_ms, half_ms);
  }
  sd_notifyf(0, "READY=1\nSTATUS=%s", status_().c_str());
}

void SdNotify::reloading() const { sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", static_cast<unsigned long long>(uv_hrtime() / 1000)); }

void SdNotify::reloaded() const { sd_notifyf(0, "READY=1\nSTATUS=%s", status_().c_str()); }

void SdNotify::stopping() {
  sd_notify(0, "STOPPING=1\nSTATUS=stopping");
  watchdog_.reset();
  soon_.reset();
}

void SdNotify::changed() {
  if (!soon_ || uv_is_active(reinterpret_cast<const uv_handle_t*>(soon_.get())) != 0) return;
  uv_timer_start(
      soon_.get(), [](uv_timer_t* timer) { static_cast<const SdNotify*>(timer->data)->send_status(); }, status_pause_ms, 0);
}

void SdNotify::send_status() const { sd_notifyf(0, "STATUS=%s", status_().c_str()); }

} // namespace hanat
