// The status in the Prometheus text format. Pure: hanatctl, which reads the status from the socket, and the HTTP listener print the same.
// Not here: gathering the status (report/make_status), serving it (report/metrics_server).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/api/status.hpp"

namespace hanat {

inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// The lines of a metric, in pieces: a text that grows without end is copied again and again.
class MetricLines {
public:
  /// The text that the next line goes to.
  std::string& next();
  std::vector<std::string> take() { return std::exchange(pieces_, {}); }

private:
  std::vector<std::string> pieces_;
};

/// Takes services one by one: ten thousand are too many for one turn of a loop.
class MetricsText {
public:
  explicit MetricsText(const DaemonStatus& daemon);
  void add(const ServiceStatus& service);
  /// Together they are the text. Nothing of it is copied: that would take longer than a turn of a loop may.
  std::vector<std::string> take_pieces();
  std::string take();

private:
  void add(const ServerStatus& server, const std::string& service, bool is_target);
  std::string daemon_;
  std::size_t services_ = 0;
  std::vector<MetricLines> families_; // in the order of the table
};

std::string metrics_text(const Status& status);

} // namespace hanat
