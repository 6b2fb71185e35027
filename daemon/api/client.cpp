// connect, send, receive up to the NUL.
#include "daemon/api/client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "daemon/api/list_reader.hpp"
#include "daemon/api/methods.hpp"
#include "daemon/api/varlink.hpp"
#include "daemon/util/credentials.hpp"
#include "daemon/util/unix_socket.hpp"
#include "nat/fd.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using Monotonic = std::chrono::steady_clock;

constexpr std::size_t max_reply = std::size_t{256} << 20; // a status of 65,000 services has a third of it

class Exchange {
public:
  Exchange(const std::string& path, std::chrono::milliseconds timeout, int cancel)
      : path_(path), timeout_(timeout), cancel_(cancel), deadline_(Monotonic::now() + timeout) {}

  using Sink = std::function<void(std::string_view bytes)>;
  /// Passes a reply on while it comes.
  void run(const std::string& request, const Sink& sink) {
    connect_to();
    send_all(request);
    receive(sink);
  }
  std::string run(const std::string& request) {
    std::string reply;
    run(request, [&reply](std::string_view bytes) { reply += bytes; });
    return reply;
  }
  /// The next one of several; it may take any time.
  std::string next() {
    constexpr std::chrono::hours any_time{24 * 20}; // poll() takes 24 days at most; a follower then calls again
    deadline_ = Monotonic::now() + any_time;
    std::string reply;
    receive([&reply](std::string_view bytes) { reply += bytes; });
    return reply;
  }

private:
  [[noreturn]] void hung() const {
    throw NoDaemon(fmt::format("hanatd at {} did not answer within {:.3g} s: it hangs or is very busy; see systemctl status hanatd", path_,
                               std::chrono::duration<double>(timeout_).count()));
  }
  [[noreturn]] void unreachable(int error) const;
  void check_cancelled() const;
  void connect_to();
  void send_all(const std::string& bytes);
  void receive(const Sink& sink);
  void wait_until(short events) const;

  const std::string& path_;
  std::chrono::milliseconds timeout_;
  int cancel_; // -1: nothing does
  Monotonic::time_point deadline_;
  Fd fd_;
  std::string received_; // and not returned yet
};

void Exchange::unreachable(int error) const {
  if (error == ENOENT)
    throw NoDaemon(fmt::format("no hanatd at {}: it is not running (systemctl start hanatd), or it has another --socket", path_));
  if (error == ECONNREFUSED) throw NoDaemon(fmt::format("no hanatd at {}: it died and left its socket (systemctl start hanatd)", path_));
  if (error != EACCES && error != EPERM) throw NoDaemon(fmt::format("cannot reach hanatd at {}: {}", path_, std::strerror(error)));
  struct stat info {};
  const std::string group = stat(path_.c_str(), &info) == 0 ? group_name(info.st_gid) : "hanat";
  throw NoDaemon(fmt::format("no permission for {}: be root (sudo), or join the group {}", path_, group));
}

void Exchange::connect_to() {
  const sockaddr_un address = unix_address(path_);
  for (;;) {
    fd_ = Fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd_) throw std::system_error(errno, std::generic_category(), "make a socket");
    if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    if (errno != EAGAIN && errno != EINTR) unreachable(errno);
    if (Monotonic::now() >= deadline_) hung(); // EAGAIN: the backlog is full, and there is nothing to poll for
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
    check_cancelled();
  }
}

void Exchange::check_cancelled() const {
  pollfd waiting{.fd = cancel_, .events = POLLIN, .revents = 0}; // poll() passes over -1
  if (poll(&waiting, 1, 0) > 0) throw NoDaemon("nobody waits for the reply any more");
}

void Exchange::wait_until(short events) const {
  std::array<pollfd, 2> waiting{pollfd{.fd = fd_.get(), .events = events, .revents = 0},
                                pollfd{.fd = cancel_, .events = POLLIN, .revents = 0}};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Monotonic::now()).count();
  if (left <= 0 || poll(waiting.data(), waiting.size(), static_cast<int>(left)) == 0) hung();
  if (waiting[1].revents != 0) check_cancelled();
}

void Exchange::send_all(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN) {
      wait_until(POLLOUT);
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return; // it closed the connection, and may have said why
    } else if (errno != EINTR) {
      throw NoDaemon(fmt::format("lost the connection to hanatd at {}: {}", path_, std::strerror(errno)));
    }
  }
}

/// Up to the end of a reply. What comes behind it is the next one's.
void Exchange::receive(const Sink& sink) {
  std::array<char, std::size_t{64} << 10> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recv
  for (std::size_t passed_on = 0;;) {
    const auto nul = received_.find('\0');
    sink(std::string_view{received_}.substr(0, nul));
    if (nul != std::string::npos) {
      received_.erase(0, nul + 1);
      return;
    }
    passed_on += received_.size();
    received_.clear();
    if (passed_on > max_reply) throw NoDaemon(fmt::format("what listens at {} sends without end: it is not hanatd", path_));
    const ssize_t count = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count > 0) {
      received_.assign(buffer.data(), static_cast<std::size_t>(count));
      deadline_ = std::max(deadline_, Monotonic::now() + timeout_); // a long reply takes its time: only one that stops is late
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      throw NoDaemon(fmt::format("hanatd at {} closed the connection without a reply; see journalctl -u hanatd", path_));
    } else if (errno == EAGAIN) {
      wait_until(POLLIN);
    }
  }
}

std::string string_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// Our own errors carry a message; the standard ones of varlink do not.
std::string message_of(const std::string& error, const json& parameters) {
  if (auto message = string_in(parameters, "message"); !message.empty()) return message;
  if (error == "MethodNotFound")
    return fmt::format("this hanatd has no method {}: hanatd and hanatctl are of different versions", string_in(parameters, "method"));
  return fmt::format("hanatd replied {} {}", error, varlink::to_text(parameters));
}

NoDaemon no_json(const std::string& socket_path) {
  return NoDaemon{fmt::format("what listens at {} does not speak JSON: it is not hanatd", socket_path)};
}

json parsed(std::string_view text, const std::string& socket_path) {
  try {
    return varlink::parse_json(text);
  } catch (const json::exception&) {
    throw no_json(socket_path);
  }
}

/// The parameters of a reply. Throws NoDaemon or Refusal.
json parameters_of(const std::string& text, const std::string& socket_path, bool* continues = nullptr) {
  json reply = parsed(text, socket_path);
  if (!reply.is_object()) throw NoDaemon(fmt::format("what listens at {} does not speak varlink: it is not hanatd", socket_path));

  json details = json::object();
  if (const auto sent = reply.find("parameters"); sent != reply.end() && sent->is_object()) details = std::move(*sent);
  if (continues != nullptr) {
    const auto found = reply.find("continues");
    *continues = found != reply.end() && found->is_boolean() && found->get<bool>();
  }
  const auto error = reply.find("error");
  if (error == reply.end()) return details;
  const std::string full = error->is_string() ? error->get<std::string>() : varlink::to_text(*error);
  const std::string name = full.substr(full.rfind('.') + 1); // npos + 1 is 0: the whole name
  throw Refusal(name, message_of(name, details), details);
}

std::string full_name(const std::string& method) { return fmt::format("{}.{}", control_interface, method); }

} // namespace

json call(const std::string& socket_path, const std::string& method, const json& parameters, std::chrono::milliseconds deadline,
          int cancel) {
  return parameters_of(Exchange{socket_path, deadline, cancel}.run(varlink::call_bytes(full_name(method), parameters)), socket_path);
}

json call_list(const std::string& socket_path, const std::string& method, const json& parameters, std::string_view list,
               const std::function<void(std::string_view)>& on_element, std::chrono::milliseconds deadline, int cancel) {
  constexpr std::string_view begin_of_error = R"({"error")"; // which may have a list of that name, too: it is kept whole
  ListReader reader{list, [&](std::string_view element) {
                      try {
                        on_element(element);
                      } catch (const json::parse_error&) {
                        throw no_json(socket_path);
                      }
                    }};
  std::string text; // until it is known that it is none; then of an error
  bool fits = false;
  Exchange{socket_path, deadline, cancel}.run(varlink::call_bytes(full_name(method), parameters), [&](std::string_view bytes) {
    if (fits) return reader.feed(bytes);
    text += bytes;
    if (begin_of_error.starts_with(std::string_view{text}.substr(0, begin_of_error.size()))) return;
    fits = true;
    reader.feed(std::exchange(text, {}));
  });
  return parameters_of(fits ? reader.rest() : text, socket_path);
}

void call_more(const std::string& socket_path, const std::string& method, const json& parameters,
               const std::function<bool(const json&)>& on_reply, std::chrono::milliseconds deadline, int cancel) {
  Exchange exchange{socket_path, deadline, cancel};
  bool continues = true;
  std::string text = exchange.run(varlink::call_bytes(full_name(method), parameters, true));
  while (on_reply(parameters_of(text, socket_path, &continues)) && continues) text = exchange.next();
}

} // namespace hanat
