// libmicrohttpd without threads of its own: its epoll descriptor is watched by libuv.
#include "daemon/metrics_server.hpp"

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

#include "daemon/fd.hpp"
#include "daemon/metrics.hpp"
#include "daemon/uv_handle.hpp"

namespace hanat {
namespace {

constexpr unsigned connections_at_most = 32;
constexpr unsigned silent_at_most_s = 10;                        // a connection
constexpr std::size_t connection_memory = std::size_t{16} << 10; // bytes: of its request
constexpr std::size_t services_a_turn = 32;                      // about half a millisecond
constexpr int connections_waiting = 16;                          // connections that nobody has accepted yet

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
  // hanatd starts with the machine, before the address is there.
  const bool ipv6 = address.storage.ss_family == AF_INET6;
  setsockopt(fd.get(), ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_FREEBIND : IP_FREEBIND, &on, sizeof on);
  if (bind(fd.get(), address.get(), address.length) != 0 || listen(fd.get(), connections_waiting) != 0) fail("listen at");
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
    const int own = fcntl(listener.get(), F_DUPFD_CLOEXEC, 0); // the daemon's, which closes it
    if (own < 0) throw std::system_error(errno, std::generic_category(), fmt::format("serve at {}", to_text(at)));
    daemon.reset(MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, &Impl::asked, this,
                                  MHD_OPTION_LISTEN_SOCKET, own, MHD_OPTION_CONNECTION_LIMIT, connections_at_most,
                                  MHD_OPTION_CONNECTION_TIMEOUT, silent_at_most_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory,
                                  MHD_OPTION_END));
    if (!daemon) throw std::system_error(ENOMEM, std::generic_category(), fmt::format("serve at {}", to_text(at)));
    const auto* const info = MHD_get_daemon_info(daemon.get(), MHD_DAEMON_INFO_EPOLL_FD);
    poll = make_poll(loop, info->epoll_fd, this);
    timer = make_timer(loop, this);
    auto handle = std::make_unique<uv_idle_t>();
    check_uv(uv_idle_init(loop, handle.get()), "gather in turns");
    handle->data = this;
    idle.reset(handle.release());
    uv_poll_start(poll.get(), UV_READABLE, [](uv_poll_t* from_poll, int, int) { static_cast<Impl*>(from_poll->data)->run(); });
  }
  ~Impl() {
    for (MHD_Connection* connection : std::exchange(waiting, {})) MHD_resume_connection(connection); // none may sleep at the end
  }

  /// Serves what can be served, and comes back when something is due.
  void run() {
    MHD_run(daemon.get());
    MHD_UNSIGNED_LONG_LONG wait = 0;
    if (MHD_get_timeout(daemon.get(), &wait) == MHD_YES)
      uv_timer_start(
          timer.get(), [](uv_timer_t* due) { static_cast<Impl*>(due->data)->run(); }, wait, 0);
    else
      uv_timer_stop(timer.get());
  }

  static MHD_Result asked(void* self, MHD_Connection* connection, const char* path, const char* method, const char*, const char*,
                          std::size_t* upload, void** seen) {
    return static_cast<Impl*>(self)->answer(connection, path, method, upload, seen);
  }

  /// Called with the request's head, and again when the figures are there.
  MHD_Result answer(MHD_Connection* connection, std::string_view path, std::string_view method, std::size_t* upload, void** seen) {
    *upload = 0;
    if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD)
      return send(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET is all that is answered here\n");
    if (path != "/metrics") return send(connection, MHD_HTTP_NOT_FOUND, "the figures are at /metrics\n");
    if (*seen == nullptr) {
      *seen = this;
      if (waiting.empty()) begin();
      MHD_suspend_connection(connection);
      waiting.push_back(connection);
      return MHD_YES;
    }
    const MHD_Result sent = send(connection, MHD_HTTP_OK, text, metrics_type);
    if (unanswered > 0) --unanswered;
    if (unanswered == 0) text = {}; // every answer has its copy
    return sent;
  }

  static MHD_Result send(MHD_Connection* connection, unsigned status, std::string_view body, std::string_view type = "text/plain") {
    const Response response = response_of(body, type);
    return response ? MHD_queue_response(connection, status, response.get()) : MHD_NO;
  }

  void begin() {
    gathering.emplace(source.daemon());
    names = source.names();
    next = 0;
    uv_idle_start(idle.get(), [](uv_idle_t* turn) { static_cast<Impl*>(turn->data)->gather(); });
  }

  /// One turn of the loop's share.
  void gather() {
    if (!gathering) return;
    for (std::size_t share = 0; share < services_a_turn && next < names.size(); ++share)
      if (const auto service = source.service(names[next++])) gathering->add(*service);
    if (next < names.size()) return;
    uv_idle_stop(idle.get());
    text = gathering->take();
    gathering.reset();
    names = {};
    unanswered = waiting.size();
    for (MHD_Connection* connection : std::exchange(waiting, {})) MHD_resume_connection(connection);
    run();
  }

  MetricsSource source;
  std::unique_ptr<MHD_Daemon, StopDaemon> daemon;
  std::vector<MHD_Connection*> waiting; // for the figures
  std::optional<MetricsText> gathering;
  std::vector<std::string> names;
  std::size_t next = 0;
  std::string text;
  std::size_t unanswered = 0;
  UvHandle<uv_idle_t> idle;
  UvHandle<uv_timer_t> timer;
  UvHandle<uv_poll_t> poll; // closed before the daemon closes its descriptor
};

MetricsServer::MetricsServer(uv_loop_t* loop, const Endpoint& at, MetricsSource source)
    : impl_(std::make_unique<Impl>(loop, at, std::move(source))) {}
MetricsServer::~MetricsServer() = default;

} // namespace hanat
