// The metrics' listener: GET /metrics for Prometheus, and for people the status page at / with its data at /status.json. It changes
// nothing. Not here: HTTP (http/http_server), the text (api/metrics_text), the page (status_page, page_status).
#pragma once

#include <memory>

#include <uv.h>

#include "daemon/report/sliced_reply.hpp"
#include "nat/address.hpp"

namespace hanat {

class MetricsServer {
public:
  /// Listens, or throws std::system_error.
  MetricsServer(uv_loop_t* loop, const Endpoint& at, StatusSource source);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
