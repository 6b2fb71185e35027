// Two small files of /proc; the interfaces and addresses only where one of them says that forwarding is off.
#include "daemon/doctor/settings_watch.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

#include "daemon/doctor/host_checks.hpp"
#include "daemon/doctor/host_facts.hpp"

namespace hanat {
namespace {

constexpr std::uint64_t first_after_ms = 200; // servers of a new configuration are known by then
constexpr std::uint64_t period_ms = 3'000;

std::vector<Finding> read_forwarding(const std::vector<Address>& servers) try {
  return check_forwarding(read_host(), servers);
} catch (const std::system_error&) {
  return {}; // the doctor says why nothing can be read
}

} // namespace

SettingsWatch::SettingsWatch(uv_loop_t* loop, Servers servers, OnChange on_change)
    : servers_(std::move(servers)), on_change_(std::move(on_change)), timer_(make_timer(loop, this)),
      jobs_(loop, WorkerThread::AtEnd::leave) {
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<SettingsWatch*>(timer->data)->read(); }, first_after_ms, period_ms);
}

void SettingsWatch::read() {
  if (jobs_.waiting() > 0) return;
  const auto forwards = std::make_shared<bool>(true);
  jobs_.run([forwards] { *forwards = forwards_all(); }, [this, forwards] { *forwards ? take({}) : look_closer(); });
}

/// Ten thousand services have many servers: they are gone through only where something is off.
void SettingsWatch::look_closer() {
  const auto found = std::make_shared<std::vector<Finding>>();
  jobs_.run([servers = servers_(), found] { *found = read_forwarding(servers); }, [this, found] { take(std::move(*found)); });
}

void SettingsWatch::take(std::vector<Finding> found) {
  const std::vector<Finding> before = std::exchange(found_, std::move(found));
  for (const Finding& finding : found_)
    if (std::ranges::find(before, finding.code, &Finding::code) == before.end()) on_change_(finding, false);
  for (const Finding& finding : before)
    if (std::ranges::find(found_, finding.code, &Finding::code) == found_.end()) on_change_(finding, true);
}

} // namespace hanat
