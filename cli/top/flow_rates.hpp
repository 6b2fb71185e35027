// New flows per second of each server, from the totals of two statuses. Pure: `now` is an argument. Not here: the totals (hanatd reads them
// from the kernel at most once a second, while somebody looks), where they stand on the screen (cli/top_texts, draw).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "daemon/api/status.hpp"

namespace hanat::cli::top {

/// By role; a server whose rate is not known is absent.
using Rates = std::map<std::string, double>;

class FlowRates {
public:
  using Time = std::chrono::steady_clock::time_point;

  /// Since a status that is two seconds old at least: hanatd's figure is as of its last look, and over less time that would show.
  Rates update(const ServiceStatus& service, Time now);

private:
  struct Reading {
    std::optional<std::uint64_t> total;
    Time at{};
    std::optional<double> rate; // up to then
  };
  std::map<std::string, std::map<std::string, Reading>> readings_; // by service and role
};

/// "1204", "12", "3.4", "0"
std::string rate_text(double rate);

} // namespace hanat::cli::top
