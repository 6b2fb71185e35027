// Differences.
#include "cli/top/flow_rates.hpp"

#include <utility>

#include <fmt/format.h>

namespace hanat::cli::top {
namespace {

constexpr std::chrono::seconds between_readings{2};
constexpr double whole_from = 10; // per second; of less the first decimal is worth its place

} // namespace

Rates FlowRates::update(const ServiceStatus& service, Time now) {
  std::map<std::string, Reading> readings = std::move(readings_[service.name]);
  std::map<std::string, Reading> next;
  Rates rates;
  for (const ServerStatus& server : service.servers) {
    const auto known = readings.find(server.role);
    Reading reading = known == readings.end() ? Reading{.total = server.new_flows, .at = now, .rate = {}} : known->second;
    if (reading.total > server.new_flows) // hanatd counts anew, or knows nothing yet
      reading = {.total = server.new_flows, .at = now, .rate = {}};
    if (now - reading.at >= between_readings) {
      const bool both = reading.total && server.new_flows;
      const double seconds = std::chrono::duration<double>(now - reading.at).count();
      reading.rate = both ? std::optional{static_cast<double>(*server.new_flows - *reading.total) / seconds} : std::nullopt;
      reading.total = server.new_flows;
      reading.at = now;
    }
    if (reading.rate) rates[server.role] = *reading.rate;
    next.emplace(server.role, reading);
  }
  readings_[service.name] = std::move(next);
  return rates;
}

std::string rate_text(double rate) {
  if (rate <= 0) return "0";
  return rate < whole_from ? fmt::format("{:.1f}", rate) : fmt::format("{:.0f}", rate);
}

} // namespace hanat::cli::top
