// libmicrohttpd without threads: libuv watches its epoll descriptor. A request without a reply yet is suspended.
#include "daemon/http/http_server.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "daemon/http/tls_peer.hpp"
#include "nat/fd.hpp"
#include "probes/io/uv.hpp"

namespace hanat {
namespace {

constexpr std::size_t connection_memory = std::size_t{16} << 10; // bytes, for its request
constexpr std::size_t most_ignored = std::size_t{64} << 10;      // bytes of a body that is too long
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

/// The body is handed over: the metrics of ten thousand services are tens of megabytes, which no turn of the loop has the time to copy.
Response body_in_pieces(HttpReply& reply) {
  struct Body {
    std::string begin;
    std::shared_ptr<const std::vector<std::string>> pieces;
  };
  auto body = std::make_unique<Body>(Body{.begin = std::move(reply.body), .pieces = std::move(reply.pieces)});
  std::vector<MHD_IoVec> parts;
  parts.reserve(body->pieces->size() + 1);
  const auto add = [&parts](const std::string& text) {
    if (!text.empty()) parts.push_back({.iov_base = text.data(), .iov_len = text.size()});
  };
  add(body->begin);
  std::ranges::for_each(*body->pieces, add);
  const auto free_body = +[](void* text) { delete static_cast<Body*>(text); }; // NOLINT(cppcoreguidelines-owning-memory): MHD owns it
  Response response{MHD_create_response_from_iovec(parts.data(), static_cast<unsigned>(parts.size()), free_body, body.get())};
  if (!response) return response;
  [[maybe_unused]] const auto* const is_owned_by_mhd = body.release();
  return response;
}
Response body_in_one(HttpReply& reply) {
  auto body = std::make_unique<std::string>(std::move(reply.body));
  const auto free_body =
      +[](void* text) { delete static_cast<std::string*>(text); }; // NOLINT(cppcoreguidelines-owning-memory): MHD owns it
  Response response{MHD_create_response_from_buffer_with_free_callback_cls(body->size(), body->data(), free_body, body.get())};
  if (!response) return response;
  [[maybe_unused]] const auto* const is_owned_by_mhd = body.release();
  return response;
}

Response response_of(HttpReply reply) {
  Response response = reply.pieces && !reply.pieces->empty() ? body_in_pieces(reply) : body_in_one(reply);
  if (!response) return response;
  MHD_add_response_header(response.get(), "Content-Type", reply.type.c_str());
  for (const auto& [name, value] : reply.headers) MHD_add_response_header(response.get(), name.c_str(), value.c_str());
  return response;
}

MHD_Result send(MHD_Connection* connection, HttpReply reply) {
  const unsigned status = reply.status;
  const Response response = response_of(std::move(reply));
  return response ? MHD_queue_response(connection, status, response.get()) : MHD_NO;
}

std::optional<Address> address_of(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET)
    return Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr), 4});
  if (address->sa_family == AF_INET6)
    return Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr), 16});
  return std::nullopt;
}

} // namespace

struct HttpServer::Impl {
  class Exchange;

  Impl(uv_loop_t* loop, const Endpoint& at, Handler respond, HttpOptions with);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start(const Endpoint& at);
  void run();
  void run_soon();
  MHD_Result on_request(MHD_Connection* connection, std::string_view path, std::string_view method, const char* data, std::size_t* size,
                        void** state);
  std::optional<std::string> refusal(MHD_Connection* connection) const;
  bool accepts(const sockaddr* from) const;

  Handler handler;
  HttpOptions options;
  std::set<Exchange*> suspended; // they wait for their replies
  UvHandle<uv_timer_t> timer;
  std::unique_ptr<MHD_Daemon, StopDaemon> daemon;
  UvHandle<uv_poll_t> poll; // destroyed before the MHD daemon closes its descriptor
};

class HttpServer::Impl::Exchange final : public HttpExchange {
public:
  Exchange(Impl& server, MHD_Connection* connection, std::string_view method, std::string_view path)
      : server_(&server), connection_(connection), method_(method), path_(path) {}
  ~Exchange() override = default;

  std::string_view method() const override { return method_; }
  std::string_view path() const override { return path_; }
  const std::string& body() const override { return body_; }
  std::optional<std::string> argument(const char* name) const override {
    if (connection_ == nullptr) return std::nullopt;
    const char* const value = MHD_lookup_connection_value(connection_, MHD_GET_ARGUMENT_KIND, name);
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
  }
  void reply(HttpReply reply) override {
    if (is_over()) return;
    reply_ = std::move(reply);
    resume();
  }
  bool is_over() const override { return connection_ == nullptr || reply_.has_value(); }

  /// What is too long is left out, and refused when all of it has come. False: so much that the connection is to be closed.
  bool add(std::string_view data) {
    received_ += data.size();
    if (received_ <= server_->options.longest_body)
      body_ += data;
    else
      body_.clear();
    return received_ <= server_->options.longest_body + most_ignored;
  }
  /// The request is complete: the handler replies, or the connection waits.
  MHD_Result proceed(const std::shared_ptr<HttpExchange>& self) {
    const std::size_t longest = server_->options.longest_body;
    if (longest > 0 && received_ > longest) // who takes no body at all looks at the method
      return send(connection_, {.status = MHD_HTTP_CONTENT_TOO_LARGE, .body = fmt::format("at most {} bytes\n", longest)});
    if (!std::exchange(handled_, true)) server_->handler(self);
    if (reply_) {
      HttpReply reply = std::move(*reply_);
      reply_.emplace(); // it is over
      return send(connection_, std::move(reply));
    }
    MHD_suspend_connection(connection_);
    server_->suspended.insert(this);
    return MHD_YES;
  }
  void resume() {
    if (connection_ == nullptr || server_->suspended.erase(this) == 0) return;
    MHD_resume_connection(connection_);
    server_->run_soon();
  }
  void end() {
    if (connection_ != nullptr) server_->suspended.erase(this);
    connection_ = nullptr;
  }

private:
  Impl* server_;
  MHD_Connection* connection_;
  std::string method_, path_, body_;
  std::optional<HttpReply> reply_;
  std::size_t received_ = 0; // bytes of the body
  bool handled_ = false;
};

HttpServer::Impl::Impl(uv_loop_t* loop, const Endpoint& at, Handler respond, HttpOptions with)
    : handler(std::move(respond)), options(std::move(with)), timer(make_timer(loop, this)) {
  start(at);
  const auto* const info = MHD_get_daemon_info(daemon.get(), MHD_DAEMON_INFO_EPOLL_FD);
  poll = make_poll(loop, info->epoll_fd, this);
  uv_poll_start(poll.get(), UV_READABLE, [](uv_poll_t* ready, int, int) { static_cast<Impl*>(ready->data)->run(); });
}

HttpServer::Impl::~Impl() {
  while (!suspended.empty()) (*suspended.begin())->resume(); // MHD_stop_daemon forbids suspended ones
}

void HttpServer::Impl::start(const Endpoint& at) {
  const Fd listener = listening_socket(at);
  const int own = fcntl(listener.get(), F_DUPFD_CLOEXEC, 0); // owned by the MHD daemon, which closes it
  if (own < 0) throw std::system_error(errno, std::generic_category(), fmt::format("serve at {}", to_text(at)));
  unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
  const auto accept =
      +[](void* self, const sockaddr* from, socklen_t) -> MHD_Result { return static_cast<Impl*>(self)->accepts(from) ? MHD_YES : MHD_NO; };
  const auto request =
      +[](void* self, MHD_Connection* connection, const char* path, const char* method, const char*, const char* data, std::size_t* size,
          void** state) -> MHD_Result { return static_cast<Impl*>(self)->on_request(connection, path, method, data, size, state); };
  const auto completed = +[](void*, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
    const std::unique_ptr<std::shared_ptr<Exchange>> exchange{static_cast<std::shared_ptr<Exchange>*>(std::exchange(*state, nullptr))};
    if (exchange) (*exchange)->end();
  };
  std::vector<MHD_OptionItem> items;
  if (const auto& tls = options.tls) {
    flags |= MHD_USE_TLS;
    for (const auto& [option, text] :
         {std::pair{MHD_OPTION_HTTPS_MEM_KEY, &tls->key}, {MHD_OPTION_HTTPS_MEM_CERT, &tls->cert}, {MHD_OPTION_HTTPS_MEM_TRUST, &tls->ca}})
      items.push_back({.option = option, .value = 0, .ptr_value = const_cast<char*>(text->c_str())});
  }
  items.push_back({.option = MHD_OPTION_END, .value = 0, .ptr_value = nullptr});
  daemon.reset(MHD_start_daemon(flags, 0, accept, this, request, this, MHD_OPTION_LISTEN_SOCKET, own, MHD_OPTION_CONNECTION_LIMIT,
                                options.connections, MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(options.idle.count()),
                                MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory, MHD_OPTION_NOTIFY_COMPLETED,
                                static_cast<MHD_RequestCompletedCallback>(completed), nullptr, MHD_OPTION_ARRAY, items.data(),
                                MHD_OPTION_END));
  if (daemon) return;
  if (options.tls)
    throw std::runtime_error(
        fmt::format("cannot serve at {}: the certificate, the key and the authority do not fit together", to_text(at)));
  throw std::system_error(ENOMEM, std::generic_category(), fmt::format("serve at {}", to_text(at)));
}

/// Serves what is ready, and sets the timer for the next timeout.
void HttpServer::Impl::run() {
  MHD_run(daemon.get());
  MHD_UNSIGNED_LONG_LONG wait = 0;
  if (MHD_get_timeout(daemon.get(), &wait) == MHD_YES)
    uv_timer_start(
        timer.get(), [](uv_timer_t* due) { static_cast<Impl*>(due->data)->run(); }, wait, 0);
  else
    uv_timer_stop(timer.get());
}

/// A reply may be made while a request is being read: MHD_run() must not be called inside itself.
void HttpServer::Impl::run_soon() {
  uv_timer_start(
      timer.get(), [](uv_timer_t* due) { static_cast<Impl*>(due->data)->run(); }, 0, 0);
}

bool HttpServer::Impl::accepts(const sockaddr* from) const {
  if (!options.only_from) return true;
  const auto address = address_of(from);
  if (address == options.only_from) return true;
  if (options.on_refused && address) options.on_refused(fmt::format("{}, which is not the peer's address", address->text()));
  return false;
}

/// Why this client is not heard.
std::optional<std::string> HttpServer::Impl::refusal(MHD_Connection* connection) const {
  if (!options.tls) return std::nullopt;
  const auto* const session = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  const auto* const client = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  const auto address = client == nullptr ? std::nullopt : address_of(client->client_addr);
  if (session == nullptr || !address) return "its certificate cannot be verified";
  auto why = refuse_peer(static_cast<gnutls_session_t>(session->tls_session), *address);
  if (why && options.on_refused) options.on_refused(fmt::format("{}: {}", address->text(), *why));
  return why;
}

/// Called with the head of the request, with each part of its body, at its end, and again once the reply is there.
MHD_Result HttpServer::Impl::on_request(MHD_Connection* connection, std::string_view path, std::string_view method, const char* data,
                                        std::size_t* size, void** state) {
  if (*state == nullptr) {
    if (const auto why = refusal(connection)) return send(connection, {.status = MHD_HTTP_FORBIDDEN, .body = *why + "\n"});
    auto exchange = std::make_unique<std::shared_ptr<Exchange>>(std::make_shared<Exchange>(*this, connection, method, path));
    *state = exchange.release(); // until `completed`
    return MHD_YES;
  }
  const std::shared_ptr<Exchange> exchange = *static_cast<std::shared_ptr<Exchange>*>(*state);
  if (*size == 0) return exchange->proceed(exchange);
  if (!exchange->add({data, std::exchange(*size, 0)})) return MHD_NO;
  return MHD_YES;
}

HttpServer::HttpServer(uv_loop_t* loop, const Endpoint& at, Handler handler, HttpOptions options)
    : impl_(std::make_unique<Impl>(loop, at, std::move(handler), std::move(options))) {}
HttpServer::~HttpServer() = default;

} // namespace hanat
