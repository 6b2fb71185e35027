// What is intended against what is loaded; a change at a time.
#include "daemon/failover/offload.hpp"

#include <chrono>
#include <cstddef>

#include <fmt/format.h>

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// An interface that has gone in the meantime is told at once; modules may be installed later.
constexpr auto retry_refused = 1s;
constexpr auto retry_unknown = 60s;

/// "web", "web and 2 other services"; empty: none.
std::string services_with_offload(const Services& services) {
  std::string first;
  std::size_t count = 0;
  for (const auto& service : services)
    if (service->config->offload && !service->removed && ++count == 1) first = service->config->name;
  return count <= 1 ? first : fmt::format("{} and {} other service{}", first, count - 1, count == 2 ? "" : "s");
}

std::optional<nat::Devices> devices_of(const std::optional<Offload::Interfaces>& interfaces) {
  if (!interfaces) return std::nullopt;
  nat::Devices names;
  for (const auto& [index, name] : *interfaces) names.insert(name);
  return names;
}

} // namespace

void Offload::set_interfaces(Interfaces interfaces) {
  if (interfaces == interfaces_) return;
  interfaces_ = std::move(interfaces);
  if (services_.empty()) return;
  if (state_ == Offloading::refused) retry_at_.reset();
  outbox_.sync_due = true;
}

bool Offload::is_loaded() const {
  if (services_.empty()) return !table_.has_flowtable();
  return table_.has_flowtable() && loaded_ == interfaces_;
}

void Offload::run(Time now) {
  if (sync_.busy()) return;
  take_outcome(now);
  if (std::exchange(config_changed_, false)) {
    services_ = services_with_offload(registry_.services());
    retry_at_.reset();
    told_.clear();
    mark_services();
  }
  if (is_loaded() || sync_.state() == TableSync::State::failed || (retry_at_ && now < *retry_at_)) return;
  retry_at_.reset();
  outcome_ = {.pending = true};
  if (!services_.empty()) outcome_.interfaces = interfaces_;
  sync_.change_aside([this] {
    outcome_.state = Offloading::refused; // the table is read again
    try {
      table_.set_flowtable(devices_of(outcome_.interfaces));
      outcome_.state = outcome_.interfaces ? Offloading::on : Offloading::off;
    } catch (const nat::NoFlowtables& error) {
      outcome_.state = Offloading::unknown_to_kernel;
      outcome_.error = error.what();
    } catch (const std::exception& error) {
      outcome_.error = error.what();
      throw;
    }
  });
  if (!sync_.busy()) take_outcome(now);
}

void Offload::take_outcome(Time now) {
  if (!std::exchange(outcome_.pending, false)) return;
  const bool refused = outcome_.state == Offloading::unknown_to_kernel || outcome_.state == Offloading::refused;
  loaded_ = refused ? std::nullopt : outcome_.interfaces;
  if (refused) retry_at_ = now + (outcome_.state == Offloading::refused ? Clock::duration{retry_refused} : Clock::duration{retry_unknown});
  state_ = outcome_.state == Offloading::refused && table_.has_flowtable() ? Offloading::on : outcome_.state; // with other interfaces
  if (state_ != Offloading::on && refused && std::exchange(told_, outcome_.error) != outcome_.error)
    outbox_.log(events::not_offloaded(services_, state_ == Offloading::unknown_to_kernel, outcome_.error));
  if (!refused) told_.clear();
  mark_services();
}

/// Their endpoints follow.
void Offload::mark_services() {
  for (const auto& service : registry_.services())
    service->offloading = service->config->offload && !service->removed ? state_ : Offloading::off;
  sets_.on_offloading_changed();
}

} // namespace hanat
