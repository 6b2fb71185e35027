// A listener for Prometheus: GET /metrics, over libmicrohttpd, on hanatd's own loop. The figures are gathered a few services a turn, once
// for all who ask meanwhile, so that nobody who asks holds up a flip. Not here: the text (metrics).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/status.hpp"
#include "nat/address.hpp"

namespace hanat {

/// Where the figures come from.
struct MetricsSource {
  std::function<DaemonStatus()> daemon;
  std::function<std::vector<std::string>()> names;
  std::function<std::optional<ServiceStatus>(const std::string&)> service; // nullopt: gone meanwhile
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
