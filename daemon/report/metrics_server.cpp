// libmicrohttpd without threads: libuv watches its epoll descriptor. A request is suspended until the text is complete.
#include "daemon/report/metrics_server.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "daemon/api/metrics_text.hpp"
#include "nat/fd.hpp"
#include "probes/io/uv.hpp"

namespace hanat {
namespace {

constexpr unsigned max_connections = 32;
constexpr unsigned idle_timeout_s = 10;                          // of a connection
constexpr std::size_t connection_memory = std::size_t{16} << 10; // bytes, for its request
constexpr std::size_t services_per_turn = 32;                    // about half a millisecond
constexpr int backlog = 16;                                      // connections not accepted yet

struct StopDaemon {
  void operator()(MHD_Daemon* daemon) const { MHD_stop_daemon(daemon); }
};
struct DestroyResponse {
  void operator()(MHD_Response* response) const { MHD_destroy_response(response); }
};
using Response = std::unique_ptr<MHD_Response, DestroyResponse>;

Fd listening_socket(const Endpoint& at) {
  const auto fail = [&](const char* what) {
    throw std::system_error(errno, std::generic_category(), fmt::format("{} {}", what, to_text(at)));
  };
  const SocketAddress address = to_sockaddr(at);
  Fd fd{socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) fail("make a socket for");
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  // At boot hanatd may start before the address exists.
  const bool ipv6 = address.storage.ss_family == AF_INET6;
  setsockopt(fd.get(), ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof on);
  if (bind(fd.get(), address.get(), address.length) != 0 || listen(fd.get(), backlog) != 0) fail("listen at");
  return fd;
}

Response response_of(std::string_view text, std::string_view type) {
  Response response{MHD_create_response_from_buffer(text.size(), const_cast<char*>(text.data()), MHD_RESPMEM_MUST_COPY)}; // it is copied
  if (response) MHD_add_response_header(response.get(), "Content-Type", std::string{type}.c_str());
  return response;
}

} // namespace

struct MetricsServer::Impl {
  Impl(uv_loop_t* loop, const Endpoint& at, MetricsSource from) : source(std::move(from)) {
    const Fd listener = listening_socket(at);
    const int own = fcntl(listener.get(), F_DUPFD_CLOEXEC, 0); // owned by the MHD daemon, which closes it
    if (own < 0) throw std::system_error(errno, std::generic_category(), fmt::format("serve at {}", to_text(at)));
    daemon.reset(MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, &Impl::on_request, this,
                                  MHD_OPTION_LISTEN_SOCKET, own, MHD_OPTION_CONNECTION_LIMIT, max_connections,
                                  MHD_OPTION_CONNECTION_TIMEOUT, idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory,
                                  MHD_OPTION_END));
    if (!daemon) throw std::system_error(ENOMEM, std::generic_category(), fmt::format("serve at {}", to_text(at)));
    const auto* const info = MHD_get_daemon_info(daemon.get(), MHD_DAEMON_INFO_EPOLL_FD);
    poll = make_poll(loop, info->epoll_fd, this);
    timer = make_timer(loop, this);
    auto handle = std::make_unique<uv_idle_t>();
    check_uv(uv_idle_init(loop, handle.get()), "start an idle handle");
    handle->data = this;
    idle.reset(handle.release());
    uv_poll_start(poll.get(), UV_READABLE, [](uv_poll_t* from_poll, int, int) { static_cast<Impl*>(from_poll->data)->run(); });
  }
  ~Impl() {
    for (MHD_Connection* connection : std::exchange(waiting, {}))
      MHD_resume_connection(connection); // MHD_stop_daemon forbids suspended ones
  }

  /// Serves what is ready, and sets the timer for the next timeout.
  void run() {
    MHD_run(daemon.get());
    MHD_UNSIGNED_LONG_LONG wait = 0;
    if (MHD_get_timeout(daemon.get(), &wait) == MHD_YES)
      uv_timer_start(
          timer.get(), [](uv_timer_t* due) { static_cast<Impl*>(due->data)->run(); }, wait, 0);
    else
      uv_timer_stop(timer.get());
  }

  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* path, const char* method, const char*, const char*,
                               std::size_t* upload, void** seen) {
    return static_cast<Impl*>(self)->respond(connection, path, method, upload, seen);
  }

  /// Called with the head of the request, and again once the text is complete.
  MHD_Result respond(MHD_Connection* connection, std::string_view path, std::string_view method, std::size_t* upload, void** seen) {
    *upload = 0;
    if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD)
      return send(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
    if (path != "/metrics") return send(connection, MHD_HTTP_NOT_FOUND, "the metrics are at /metrics\n");
    if (*seen == nullptr) {
      *seen = this;
      if (waiting.empty()) begin();
      MHD_suspend_connection(connection);
      waiting.push_back(connection);
      return MHD_YES;
    }
    const MHD_Result sent = send(connection, MHD_HTTP_OK, text, metrics_type);
    if (pending_replies > 0) --pending_replies;
    if (pending_replies == 0) text = {}; // each reply holds a copy
    return sent;
  }

  static MHD_Result send(MHD_Connection* connection, unsigned status, std::string_view body, std::string_view type = "text/plain") {
    const Response response = response_of(body, type);
    return response ? MHD_queue_response(connection, status, response.get()) : MHD_NO;
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
    text = rendering->take();
    rendering.reset();
    names = {};
    pending_replies = waiting.size();
    for (MHD_Connection* connection : std::exchange(waiting, {})) MHD_resume_connection(connection);
    run();
  }

  MetricsSource source;
  std::unique_ptr<MHD_Daemon, StopDaemon> daemon;
  std::vector<MHD_Connection*> waiting; // for the text
  std::optional<MetricsText> rendering;
  std::vector<std::string> names;
  std::size_t next = 0;
  std::string text;
  std::size_t pending_replies = 0;
  UvHandle<uv_idle_t> idle;
  UvHandle<uv_timer_t> timer;
  UvHandle<uv_poll_t> poll; // destroyed before the MHD daemon closes its descriptor
};

MetricsServer::MetricsServer(uv_loop_t* loop, const Endpoint& at, MetricsSource source)
    : impl_(std::make_unique<Impl>(loop, at, std::move(source))) {}
MetricsServer::~MetricsServer() = default;

} // namespace hanat
