// Requests wait until the text for all of them is complete.
#include "daemon/report/metrics_server.hpp"

#include <string_view>
#include <utility>

#include "daemon/api/metrics_text.hpp"
#include "daemon/http/http_server.hpp"
#include "probes/io/uv.hpp"

namespace hanat {
namespace {

constexpr std::size_t services_per_turn = 32; // about half a millisecond
constexpr unsigned method_not_allowed = 405, not_found = 404;

} // namespace

struct MetricsServer::Impl {
  Impl(uv_loop_t* loop, const Endpoint& at, MetricsSource from) : source(std::move(from)) {
    auto handle = std::make_unique<uv_idle_t>();
    check_uv(uv_idle_init(loop, handle.get()), "start an idle handle");
    handle->data = this;
    idle.reset(handle.release());
    server.emplace(loop, at, [this](const std::shared_ptr<HttpExchange>& exchange) { respond(exchange); });
  }

  void respond(const std::shared_ptr<HttpExchange>& exchange) {
    if (exchange->method() != "GET" && exchange->method() != "HEAD")
      return exchange->reply({.status = method_not_allowed, .body = "only GET and HEAD are allowed\n"});
    if (exchange->path() != "/metrics") return exchange->reply({.status = not_found, .body = "the metrics are at /metrics\n"});
    if (waiting.empty()) begin();
    waiting.push_back(exchange);
  }

  void begin() {
    rendering.emplace(source.daemon());
    names = source.names();
    next = 0;
    uv_idle_start(idle.get(), [](uv_idle_t* turn) { static_cast<Impl*>(turn->data)->render(); });
  }

  /// Adds the next services; called once per turn of the loop.
  void render() {
    if (!rendering) return;
    for (std::size_t count = 0; count < services_per_turn && next < names.size(); ++count)
      if (const auto service = source.service(names[next++])) rendering->add(*service);
    if (next < names.size()) return;
    uv_idle_stop(idle.get());
    const std::string text = rendering->take();
    rendering.reset();
    names = {};
    for (const auto& exchange : std::exchange(waiting, {})) exchange->reply({.body = text, .type = std::string{metrics_type}});
  }

  MetricsSource source;
  std::vector<std::shared_ptr<HttpExchange>> waiting; // for the text
  std::optional<MetricsText> rendering;
  std::vector<std::string> names;
  std::size_t next = 0;
  UvHandle<uv_idle_t> idle;
  std::optional<HttpServer> server;
};

MetricsServer::MetricsServer(uv_loop_t* loop, const Endpoint& at, MetricsSource source)
    : impl_(std::make_unique<Impl>(loop, at, std::move(source))) {}
MetricsServer::~MetricsServer() = default;

} // namespace hanat
