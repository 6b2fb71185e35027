// The servers: one epoll loop a server, ended through an eventfd, which closes everything as the death of a process would.
#include "tests/netns/lab/peers.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_map>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/netns/lab/bound_socket.hpp"

namespace hanat::test {

Fd bound_socket(Lab& lab, Host host, int type, std::uint16_t port) {
  Fd fd = lab.socket(host, AF_INET6, type | SOCK_NONBLOCK);
  const int on = 1;
  const int off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  checked(bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), fmt::format("bind port {} on {}", port, to_text(host)));
  return fd;
}

namespace {

Fd make_event() { return Fd{checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")}; }
void raise_event(const Fd& event) { eventfd_write(event.get(), 1); }

void watch(int epoll, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  checked(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

} // namespace

// ---- StreamServer

struct StreamServer::Loop {
  struct Connection {
    Fd fd;
    std::string input;
  };
  Fd stop = make_event();
  Fd listener;
  Fd epoll{checked(epoll_create1(EPOLL_CLOEXEC), "epoll")};
  std::unordered_map<int, Connection> connections;

  std::size_t accept_all() {
    std::size_t count = 0;
    while (true) {
      Fd fd{accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (!fd) return count;
      ++count;
      watch(epoll.get(), fd.get());
      const int number = fd.get();
      connections[number] = {.fd = std::move(fd), .input = {}};
    }
  }
  /// Closing alone does not always end the watch: a forked child that has not exec'd yet holds a copy.
  void forget(int fd) {
    epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
    connections.erase(fd);
  }
  /// Reads what is there and answers it; false: the connection has ended.
  bool answer(Connection& connection, const Answer& make, bool hanging) const {
    std::array<char, 4096> buffer;
    const ssize_t got = recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    if (hanging) return true;
    connection.input.append(buffer.data(), static_cast<std::size_t>(got));
    const std::string reply = make(connection.input);
    return reply.empty() || send(connection.fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(reply.size());
  }
};

StreamServer::StreamServer(Lab& lab, Host host, std::uint16_t port, Answer answer)
    : lab_(lab), host_(host), port_(port), answer_(std::move(answer)) {
  start();
}

StreamServer::~StreamServer() { kill(); }

void StreamServer::start() {
  if (loop_) return;
  auto loop = std::make_unique<Loop>();
  loop->listener = bound_socket(lab_, host_, SOCK_STREAM, port_);
  checked(listen(loop->listener.get(), 4096), "listen");
  watch(loop->epoll.get(), loop->listener.get());
  watch(loop->epoll.get(), loop->stop.get());
  loop_ = std::move(loop);
  thread_ = std::thread([this] { serve(*loop_); });
}

void StreamServer::kill() {
  if (!loop_) return;
  raise_event(loop_->stop);
  thread_.join();
  loop_.reset();
}

void StreamServer::serve(Loop& loop) {
  std::array<epoll_event, 256> events;
  while (true) {
    const int count = epoll_wait(loop.epoll.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == loop.stop.get()) {
        // The order in which a dying process closes: new clients are refused before old ones are told. shutdown() because a program that
        // another thread is about to exec holds a copy of the descriptor for a moment.
        shutdown(loop.listener.get(), SHUT_RDWR);
        loop.listener.reset();
        loop.connections.clear();
        open_ = 0;
        return;
      }
      if (fd == loop.listener.get())
        accepted_ += loop.accept_all();
      else if (!loop.answer(loop.connections.at(fd), answer_, hanging_))
        loop.forget(fd);
    }
    open_ = loop.connections.size();
  }
}

TcpServer::TcpServer(Lab& lab, Host host, std::uint16_t port, const std::string& name)
    : StreamServer(lab, host, port, [name](std::string& input) {
        std::string reply;
        for (auto end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
          input.erase(0, end + 1);
          reply += name + "\n";
        }
        return reply;
      }) {}

HttpServer::HttpServer(Lab& lab, Host host, std::uint16_t port, const std::string& name)
    : HttpServer(lab, host, port, name, std::make_shared<std::atomic<int>>(200), std::make_shared<std::atomic<std::size_t>>(0)) {}

HttpServer::HttpServer(Lab& lab, Host host, std::uint16_t port, const std::string& name, std::shared_ptr<std::atomic<int>> status,
                       std::shared_ptr<std::atomic<std::size_t>> requests)
    : StreamServer(lab, host, port,
                   [name, status, requests](std::string& input) {
                     std::string reply;
                     for (auto end = input.find("\r\n\r\n"); end != std::string::npos; end = input.find("\r\n\r\n")) {
                       input.erase(0, end + 4);
                       ++*requests;
                       reply +=
                           fmt::format("HTTP/1.1 {} Switched\r\nContent-Length: {}\r\n\r\n{}\n", status->load(), name.size() + 1, name);
                     }
                     return reply;
                   }),
      status_(std::move(status)), requests_(std::move(requests)) {}

// ---- UdpServer

UdpServer::UdpServer(Lab& lab, Host host, std::uint16_t port, std::string name)
    : lab_(lab), host_(host), port_(port), name_(std::move(name)) {
  start();
}

UdpServer::~UdpServer() { kill(); }

void UdpServer::start() {
  if (thread_.joinable()) return;
  socket_ = bound_socket(lab_, host_, SOCK_DGRAM, port_);
  stop_ = make_event();
  thread_ = std::thread([this, socket = socket_.get(), stop = stop_.get()] { serve(socket, stop); });
}

void UdpServer::kill() {
  if (!thread_.joinable()) return;
  raise_event(stop_);
  thread_.join();
  socket_.reset();
}

void UdpServer::send(const Endpoint& to, const std::string& text) const {
  sockaddr_in6 address{}; // the socket is of both families: an IPv4 address is mapped
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(to.port);
  const auto bytes = to.address.bytes();
  std::ranges::copy(bytes, std::end(address.sin6_addr.s6_addr) - bytes.size());
  if (bytes.size() == 4) std::fill_n(address.sin6_addr.s6_addr + 10, 2, std::uint8_t{0xff});
  checked(static_cast<int>(
              sendto(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), sizeof address)),
          "send from a server");
}

void UdpServer::serve(int socket, int stop) {
  std::array<pollfd, 2> polled{pollfd{.fd = socket, .events = POLLIN, .revents = 0}, pollfd{.fd = stop, .events = POLLIN, .revents = 0}};
  while (poll(polled.data(), polled.size(), -1) >= 0 || errno == EINTR) {
    if (polled[1].revents != 0) return;
    std::array<char, 2048> buffer;
    sockaddr_in6 from{};
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(socket, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) continue;
    ++received_;
    const std::string reply = name_ + " " + std::string(buffer.data(), static_cast<std::size_t>(got));
    sendto(socket, reply.data(), reply.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&from), length);
  }
}

} // namespace hanat::test
