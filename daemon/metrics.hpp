// The status as Prometheus reads it: text, one line a figure, the lines of one name together. Pure: the same for hanatctl, which has the
// status from the socket, and for the listener. Not here: gathering the status (report), serving it (metrics_server).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/status.hpp"

namespace hanat {

inline constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// Takes services one by one, since ten thousand are more than a turn of a loop should hold.
class MetricsText {
public:
  explicit MetricsText(const DaemonStatus& daemon);
  void add(const ServiceStatus& service);
  std::string take();

private:
  struct Labels;
  void add(const ServerStatus& server, const std::string& service, bool is_target);
  std::string daemon_;
  std::size_t services_ = 0;
  std::vector<std::string> families_; // the lines of each name, in the order of the table
};

std::string metrics_text(const Status& status);

} // namespace hanat
