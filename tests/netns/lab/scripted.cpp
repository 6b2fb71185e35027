// The scripted server's threads and sockets.
#include "tests/netns/lab/scripted.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hanat::test {
namespace {

constexpr int tick_ms = 20; // how soon a waiting thread notices the end of the test

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

Address address_of(const SocketAddress& socket_address) {
  if (socket_address.storage.ss_family == AF_INET) {
    const auto& in4 = reinterpret_cast<const sockaddr_in&>(socket_address.storage);
    return Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&in4.sin_addr), 4});
  }
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(socket_address.storage);
  return Address::from_bytes({in6.sin6_addr.s6_addr, 16});
}

} // namespace

bool Client::send(std::string_view bytes) {
  while (!bytes.empty() && !stopping_) {
    pollfd watched{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return !stopping_;
}

bool Client::read_request(std::string* text) {
  std::string request;
  while (!stopping_ && request.find("\r\n\r\n") == std::string::npos) {
    pollfd watched{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (text != nullptr) *text = request;
  return !stopping_;
}

bool Client::read_until_reset() {
  while (!stopping_) {
    pollfd watched{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) return got < 0 && errno == ECONNRESET;
  }
  return false;
}

void Client::close_with_reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  check(setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort), "SO_LINGER");
}

void Client::hold(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!stopping_ && std::chrono::steady_clock::now() < end) {
    pollfd watched{.fd = fd_, .events = POLLRDHUP, .revents = 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    if (poll(&watched, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, tick_ms))) > 0) return;
  }
}

ScriptedServer::ScriptedServer(Serve serve, std::string_view address) : serve_(std::move(serve)) {
  endpoint_.address = Address::parse(address).value_or(Address{});
  SocketAddress local = to_sockaddr(endpoint_);
  listener_ = socket(local.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(listener_, "socket");
  check(bind(listener_, local.get(), local.length), "bind");
  check(listen(listener_, 4096), "listen");
  check(getsockname(listener_, reinterpret_cast<sockaddr*>(&local.storage), &local.length), "getsockname");
  endpoint_.port = ntohs(reinterpret_cast<const sockaddr_in&>(local.storage).sin_port); // at the same place in sockaddr_in6
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  stopping_ = true;
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  close(listener_);
}

void ScriptedServer::accept_all() {
  while (!stopping_) {
    pollfd watched{.fd = listener_, .events = POLLIN, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    SocketAddress peer;
    peer.length = sizeof peer.storage;
    const int fd = accept4(listener_, reinterpret_cast<sockaddr*>(&peer.storage), &peer.length, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++connections_;
    if (!serve_) {
      close(fd);
      continue;
    }
    const unsigned open = ++open_;
    peak_ = std::max<unsigned>(peak_, open);
    threads_.emplace_back([this, fd, address = address_of(peer)] { serve_one(fd, address); });
  }
}

void ScriptedServer::serve_one(int fd, const Address& peer) {
  Client client{fd, peer, stopping_};
  serve_(client);
  close(fd);
  --open_;
}

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "hanat-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TempFolder::write(const char* name, const std::string& text) const { std::ofstream{path_ / name} << text; }

std::string TempFolder::read(const char* name) const {
  std::ifstream stream{path_ / name};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void make_certificate(const TempFolder& folder, const std::string& name, const std::string& validity) {
  folder.write((name + ".cnf").c_str(),
               fmt::format("[ca]\ndefault_ca=c\n[c]\ndatabase={}.index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
                           "unique_subject=no\n[p]\ncommonName=supplied\n"
                           "[x]\nsubjectAltName=DNS:web.example,IP:127.0.0.1\nbasicConstraints=critical,CA:TRUE\n",
                           name));
  shell(
      fmt::format("cd {0} && touch {1}.index && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=web.example "
                  "-keyout {1}.key -out {1}.csr 2>/dev/null && openssl ca -batch -config {1}.cnf -selfsign -keyfile {1}.key -in {1}.csr "
                  "-extensions x -notext -out {1}.crt {2} 2>/dev/null",
                  folder.path().string(), name, validity));
}

void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

} // namespace hanat::test
