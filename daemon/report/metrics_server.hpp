// Metrics for Prometheus over HTTP: GET /metrics. The text is made a few services per turn of the loop, once for all requests that wait, so
// that no request delays a flip. Not here: HTTP (http/http_server), the text (api/metrics_text).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/api/status.hpp"
#include "nat/address.hpp"

namespace hanat {

/// Where the status comes from.
struct MetricsSource {
  std::function<DaemonStatus()> daemon;
  std::function<std::vector<std::string>()> names;
  std::function<std::optional<ServiceStatus>(const std::string&)> service; // nullopt: it was removed meanwhile
};

class MetricsServer {
public:
  /// Listens, or throws std::system_error.
  MetricsServer(uv_loop_t* loop, const Endpoint& at, MetricsSource source);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
