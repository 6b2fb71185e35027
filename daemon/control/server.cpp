// Accepts clients, reads their credentials from the kernel, and passes their calls to the handler: the one place that decides who may
// change things. Not here: bytes and deadlines of a client (connection), the wire (varlink), which methods there are (methods).
#include "daemon/control/server.hpp"

#include <algorithm>
#include <cerrno>
#include <list>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>

#include "daemon/api/methods.hpp"
#include "daemon/api/varlink.hpp"
#include "daemon/control/connection.hpp"
#include "daemon/util/unix_socket.hpp"
#include "daemon/util/version.hpp"
#include "probes/io/uv.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr std::size_t max_clients = 32;
constexpr std::size_t kept_for_operators = 4; // of these: a script that leaks connections must not lock the operator out
constexpr int accepts_a_wakeup = 8;
constexpr std::uint64_t accept_pause_ms = 200; // after running out of descriptors: the listener would wake the loop without end
// Of all clients together: the status of some 40,000 services. A client gets no second reply before it has read the first.
constexpr std::size_t max_unsent = max_clients * (std::size_t{1} << 20);
constexpr std::string_view own_group = "hanat";

/// The group that may open the socket: the package's own, otherwise the operators.
std::optional<gid_t> socket_group(const Operators& operators) {
  const auto own = find_group_at_start(std::string{own_group});
  return own ? own : operators.gid;
}
constexpr std::string_view service_interface = "org.varlink.service";

json with_message(json parameters, const std::string& message) {
  parameters["message"] = message;
  return parameters;
}
std::string error_of(const std::string& name, const json& parameters) {
  return varlink::error_bytes(fmt::format("{}.{}", control_interface, name), parameters);
}
std::string error_of(const std::string& name, const std::string& message) { return error_of(name, with_message(json::object(), message)); }
std::string service_error(const char* name, const char* key, const std::string& value) {
  return varlink::error_bytes(fmt::format("{}.{}", service_interface, name), {{key, value}});
}

/// The methods of org.varlink.service, which describe the service.
std::string call_service_method(const varlink::Request& request) {
  if (request.method == "GetInfo")
    return varlink::reply_bytes({{"vendor", "hanat"},
                                 {"product", "hanatd"},
                                 {"version", version()},
                                 {"url", "man:hanatd(8)"},
                                 {"interfaces", {service_interface, control_interface}}});
  if (request.method != "GetInterfaceDescription") return service_error("MethodNotFound", "method", request.method);
  const auto requested = request.parameters.find("interface");
  if (requested == request.parameters.end() || !requested->is_string()) return service_error("InvalidParameter", "parameter", "interface");
  const auto& interface = requested->get_ref<const std::string&>();
  if (interface == control_interface) return varlink::reply_bytes({{"description", interface_description()}});
  if (interface == service_interface) return varlink::reply_bytes({{"description", service_description()}});
  return service_error("InterfaceNotFound", "interface", interface);
}

} // namespace

struct ControlServer::Impl {
  Impl(uv_loop_t* loop_, const std::string& path, Operators operators_, Handler handler_)
      : loop(loop_), handler(std::move(handler_)), operators(std::move(operators_)), listener(path, socket_group(operators)) {
    owner.on_message = [this](const std::string& message, const Credentials& peer) { return respond(message, peer); };
    owner.on_too_long = [] {
      return Connection::Response{
          error_of("InvalidParameter",
                   with_message({{"parameter", ""}}, fmt::format("a message has at most {} bytes, and one of root or an operator {}",
                                                                 Connection::max_message, Connection::max_config))),
          true};
    };
    owner.on_end = [this](Connection& ended) { clients.remove_if([&](const Connection& client) { return &client == &ended; }); };
    poll = make_poll(loop, listener.fd(), this);
    pause = make_timer(loop, this);
    turn = make_prepare(loop, this);
    uv_prepare_start(turn.get(), [](uv_prepare_t* handle) { static_cast<Impl*>(handle->data)->owner.may_respond = true; });
    listen_on();
  }

  void listen_on() {
    uv_poll_start(poll.get(), UV_READABLE, [](uv_poll_t* handle, int, int) { static_cast<Impl*>(handle->data)->accept_some(); });
  }
  void accept_some();
  void take(Fd socket);
  bool may_change(const Credentials& peer) const { return peer.uid == 0 || (operators.gid && is_member(peer, *operators.gid)); }
  Connection::Response respond(const std::string& message, const Credentials& peer);
  Connection::Response respond_to(const varlink::Request& request, const Credentials& peer);
  static Connection::Response piecewise(Reply reply);
  Connection::Response run(const Method& method, const varlink::Request& request, const Credentials& peer);
  std::string not_permitted(const Credentials& peer) const;
  std::size_t unsent() const;

  uv_loop_t* loop;
  Handler handler;
  Operators operators;
  ListeningSocket listener; // before poll: libuv must close its handle first
  UvHandle<uv_poll_t> poll;
  UvHandle<uv_timer_t> pause;
  UvHandle<uv_prepare_t> turn;
  Connection::Owner owner;
  std::list<Connection> clients;
};

void ControlServer::Impl::accept_some() {
  for (int i = 0; i < accepts_a_wakeup; ++i) {
    Fd socket{accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (socket) {
      take(std::move(socket));
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno == EAGAIN) return;
    uv_poll_stop(poll.get());
    uv_timer_start(
        pause.get(), [](uv_timer_t* timer) { static_cast<Impl*>(timer->data)->listen_on(); }, accept_pause_ms, 0);
    return;
  }
}

void ControlServer::Impl::take(Fd socket) {
  try {
    auto peer = credentials_of(socket.get());
    const std::size_t places = may_change(peer) ? max_clients : max_clients - kept_for_operators;
    if (clients.size() >= places) {
      const auto refusal =
          error_of("Failed", fmt::format("{} clients are connected to the control socket, which is all hanatd serves at once; try again in "
                                         "some seconds",
                                         clients.size()));
      send(socket.get(), refusal.data(), refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      return;
    }
    const std::size_t longest = may_change(peer) ? Connection::max_config : Connection::max_message;
    clients.emplace_back(loop, std::move(socket), std::move(peer), owner, longest);
  } catch (const std::exception&) {
    // Its credentials cannot be read, or there is no memory for one more client: only this one is closed.
    return;
  }
}

std::size_t ControlServer::Impl::unsent() const {
  std::size_t bytes = 0;
  for (const auto& client : clients) bytes += client.unsent();
  return bytes;
}

Connection::Response ControlServer::Impl::respond(const std::string& message, const Credentials& peer) {
  try {
    const auto parsed = varlink::parse_request(message);
    if (const auto* malformed = std::get_if<varlink::Malformed>(&parsed))
      return {error_of("InvalidParameter", with_message({{"parameter", ""}}, "not a varlink call: " + malformed->why)), true};
    const auto& request = std::get<varlink::Request>(parsed);
    auto response = respond_to(request, peer);
    if (request.oneway) {
      if (response.later) response.later->abandon();
      return {};
    }
    if (unsent() + response.bytes.size() > max_unsent)
      return {error_of("Failed", fmt::format("the reply has {} bytes, more than hanatd can hold for its clients now; ask for one service",
                                             response.bytes.size()))};
    return response;
  } catch (const std::exception&) { // no memory for the reply: only this client is closed
    return {{}, true};
  }
}

Connection::Response ControlServer::Impl::respond_to(const varlink::Request& request, const Credentials& peer) {
  if (request.upgrade) return {service_error("InvalidParameter", "parameter", "upgrade")};
  if (request.interface == service_interface) return {call_service_method(request)};
  if (request.interface != control_interface) return {service_error("InterfaceNotFound", "interface", request.interface)};
  const Method* const method = find_method(request.method);
  if (method == nullptr) return {service_error("MethodNotFound", "method", request.method)};
  if (method->changes && !may_change(peer)) return {not_permitted(peer)};
  if (const auto wrong = check_parameters(*method, request.parameters))
    return {error_of("InvalidParameter", with_message({{"parameter", wrong->parameter}}, wrong->message))};
  if (method->streams && !request.more) return {varlink::error_bytes(fmt::format("{}.ExpectedMore", service_interface), json::object())};
  return run(*method, request, peer);
}

std::string ControlServer::Impl::not_permitted(const Credentials& peer) const {
  const std::string group = operators.name.empty() ? "name a group in [hanatd] operators and join it" : "join the group " + operators.name;
  return error_of("NotPermitted", fmt::format("{} may only look: be root (sudo), or {}", user_name(peer.uid), group));
}

/// A reply whose list is made piece by piece: the text before the list at once, then its elements, then the text after it.
Connection::Response ControlServer::Impl::piecewise(Reply reply) {
  std::string text = varlink::reply_bytes(reply.parameters);
  const std::string empty = fmt::format("\"{}\":[]", reply.list); // inside a string of the reply the quotes would be escaped
  const std::size_t middle = text.find(empty) + empty.size() - 1;
  std::string rest = text.substr(middle);
  text.resize(middle);
  auto more = [next = std::move(reply.next), rest = std::move(rest), most = reply.elements_per_piece, first = true]() mutable {
    std::string piece;
    for (std::size_t i = 0; i < most && !rest.empty(); ++i) {
      if (const auto element = next())
        piece.append(std::exchange(first, false) ? "" : ",").append(*element);
      else
        piece += std::exchange(rest, {});
    }
    return piece;
  };
  return {.bytes = std::move(text), .more = std::move(more)};
}

Connection::Response ControlServer::Impl::run(const Method& method, const varlink::Request& request, const Credentials& peer) {
  try {
    Reply reply = handler({.method = request.method, .parameters = request.parameters, .peer = peer, .may_change = may_change(peer)});
    if (reply.later) return {.bytes = {}, .later = std::move(reply.later)};
    if (reply.next) return piecewise(std::move(reply));
    return {varlink::reply_bytes(reply.parameters)};
  } catch (const ControlError& error) {
    return {error_of(error.name, with_message(error.parameters, error.message))};
  } catch (const json::exception& error) {
    return {error_of("Failed", fmt::format("{}: hanatd could not make a reply: {}", method.name, error.what()))};
  } catch (const std::exception& error) {
    return {error_of("Failed", fmt::format("{}: {}", method.name, error.what()))};
  }
}

Reply::Reply(json all) : parameters(std::move(all)) {
  if (!parameters.is_object()) throw std::logic_error(fmt::format("a reply is an object, not {}", varlink::to_text(parameters)));
}
Reply::Reply(json head, std::string name, Next elements, std::size_t per_piece) : Reply(std::move(head)) {
  list = std::move(name);
  next = std::move(elements);
  elements_per_piece = per_piece;
}

ControlServer::ControlServer(uv_loop_t* loop, const std::string& path, const Operators& operators, Handler handler,
                             std::chrono::milliseconds reply_within)
    : impl_(std::make_unique<Impl>(loop, path, operators, std::move(handler))) {
  impl_->owner.whole_ms = static_cast<std::uint64_t>(reply_within.count());
}
ControlServer::~ControlServer() = default;

Reply::Reply(std::shared_ptr<PendingReply> pending) : parameters(json::object()), later(std::move(pending)) {}

void ControlServer::set_operators(const Operators& operators) { impl_->operators = operators; }
void ControlServer::send_waiting() {
  for (Connection& client : impl_->clients) client.send_waiting();
}

} // namespace hanat
