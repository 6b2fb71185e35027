// The status in the Prometheus text format. Pure: hanatctl, which reads the status from the socket, and the HTTP listener print the same.
// Not here: gathering the status (report/make_status), serving it (report/metrics_server).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/status.hpp"

namespace hanat {

inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// Takes services one by one: ten thousand are too many for one turn of a loop.
class MetricsText {
public:
  explicit MetricsText(const DaemonStatus& daemon);
  void add(const ServiceStatus& service);
  std::string take();

private:
  void add(const ServerStatus& server, const std::string& service, bool is_target);
  std::string daemon_;
  std::size_t services_ = 0;
  std::vector<std::string> families_; // the lines of each metric, in the order of the table
};

std::string metrics_text(const Status& status);

} // namespace hanat
