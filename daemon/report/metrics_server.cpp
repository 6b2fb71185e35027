// Which path gets which reply.
#include "daemon/report/metrics_server.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/api/metrics_text.hpp"
#include "daemon/http/http_server.hpp"
#include "daemon/report/page_status.hpp"
#include "daemon/report/status_page.hpp"

namespace hanat {
namespace {

constexpr unsigned method_not_allowed = 405, not_found = 404;
constexpr std::size_t events_on_page = 20;
constexpr std::chrono::seconds page_data_age{1};

class MetricsReply final : public SlicedReply::Text {
public:
  explicit MetricsReply(const DaemonStatus& daemon) : text_(daemon) {}
  void add(const ServiceStatus& service) override { text_.add(service); }
  HttpReply take() override {
    return {.type = std::string{metrics_type}, .pieces = std::make_shared<const std::vector<std::string>>(text_.take_pieces())};
  }

private:
  MetricsText text_;
};

class PageReply final : public SlicedReply::Text {
public:
  explicit PageReply(const StatusSource& source) : status_(source.daemon(), source.last_events(events_on_page)) {}
  void add(const ServiceStatus& service) override { status_.add(service); }
  HttpReply take() override { return with_common_headers({.body = status_.take(), .type = "application/json"}); }

private:
  PageStatus status_;
};

} // namespace

struct MetricsServer::Impl {
  Impl(uv_loop_t* loop, const Endpoint& at, StatusSource from)
      : source(std::move(from)), page(status_page()),
        metrics(loop, source, [this] { return std::make_unique<MetricsReply>(source.daemon()); }),
        page_data(
            loop, source, [this] { return std::make_unique<PageReply>(source); }, page_data_age) {
    server.emplace(loop, at, [this](const std::shared_ptr<HttpExchange>& exchange) { respond(exchange); });
  }

  void respond(const std::shared_ptr<HttpExchange>& exchange) {
    if (exchange->method() != "GET" && exchange->method() != "HEAD")
      return exchange->reply(with_common_headers({.status = method_not_allowed, .body = "only GET and HEAD are allowed\n"}));
    if (exchange->path() == "/metrics") return metrics.respond(exchange);
    if (exchange->path() == "/status.json") return page_data.respond(exchange);
    if (exchange->path() == "/") return exchange->reply(page);
    exchange->reply(with_common_headers(
        {.status = not_found, .body = "the metrics are at /metrics, the status page is at /, its data at /status.json\n"}));
  }

  StatusSource source;
  HttpReply page;
  SlicedReply metrics, page_data;
  std::optional<HttpServer> server;
};

MetricsServer::MetricsServer(uv_loop_t* loop, const Endpoint& at, StatusSource source)
    : impl_(std::make_unique<Impl>(loop, at, std::move(source))) {}
MetricsServer::~MetricsServer() = default;

} // namespace hanat
