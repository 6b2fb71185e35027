// socket(), connect(), SSL_connect().
#include "tests/bench/bare_tls.hpp"

#include <array>
#include <memory>
#include <stdexcept>
#include <string_view>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/netns/lab/fd.hpp"

namespace hanat::bench {
namespace {

using namespace std::string_literals;

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* tls) const { SSL_free(tls); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
template <class Of> using Owned = std::unique_ptr<Of, Free>;

[[noreturn]] void fail(const std::string& what) {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  throw std::runtime_error("bare TLS: " + what + (reason == nullptr ? "" : ": "s + reason));
}

double cpu_of_thread() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto us = [](const timeval& time) { return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec); };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

/// Sends, and reads once.
void say(int fd, std::string_view bytes) {
  std::array<char, 4096> buffer;
  if (!bytes.empty() && send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) fail("send");
  if (recv(fd, buffer.data(), buffer.size(), 0) <= 0) fail("nothing received");
}

std::string mysql_packet(char sequence, const std::string& payload) {
  return std::string{static_cast<char>(payload.size()), '\0', '\0', sequence} + payload;
}
/// TLS, protocol 4.1, plugins.
std::string mysql_hello() { return "\x00\x8a\x08\x00"s + "\x00\x00\x00\x01"s + '\x08' + std::string(23, '\0'); }

void before_tls(Bare kind, int fd) {
  switch (kind) {
  case Bare::redis: return;
  case Bare::postgres: return say(fd, "\x00\x00\x00\x08\x04\xd2\x16\x2f"s);
  case Bare::mysql: {
    say(fd, {});
    const std::string request = mysql_packet(1, mysql_hello());
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) fail("send");
    return;
  }
  case Bare::smtp:
    say(fd, {});
    say(fd, "EHLO gw.example\r\n");
    return say(fd, "STARTTLS\r\n");
  }
}

std::string behind_tls(Bare kind) {
  switch (kind) {
  case Bare::redis: return "PING\r\n";
  case Bare::postgres: {
    const std::string body = "\x00\x03\x00\x00user\0hanat\0database\0postgres\0\0"s;
    return "\0\0\0"s + static_cast<char>(body.size() + 4) + body;
  }
  case Bare::mysql: return mysql_packet(2, mysql_hello() + "hanat\0\0mysql_native_password\0"s);
  case Bare::smtp: return "EHLO gw.example\r\n";
  }
  return {};
}

/// Returns the session, to resume.
Owned<SSL_SESSION> connect_once(Bare kind, const SocketAddress& to, SSL_CTX* context, SSL_SESSION* session, std::size_t& resumed) {
  const Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const linger abort{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  if (connect(fd.get(), to.get(), to.length) != 0) fail("connect");
  before_tls(kind, fd.get());
  const Owned<SSL> tls{SSL_new(context)};
  if (!tls || SSL_set_fd(tls.get(), fd.get()) != 1 || SSL_set1_host(tls.get(), "db.example") != 1) fail("SSL_new");
  if (session != nullptr) SSL_set_session(tls.get(), session);
  if (SSL_connect(tls.get()) != 1) fail("SSL_connect");
  const std::string request = behind_tls(kind);
  std::array<char, 4096> buffer;
  if (SSL_write(tls.get(), request.data(), static_cast<int>(request.size())) <= 0) fail("SSL_write");
  if (SSL_read(tls.get(), buffer.data(), static_cast<int>(buffer.size())) <= 0) fail("SSL_read");
  resumed += SSL_session_reused(tls.get()) == 1 ? 1U : 0U;
  Owned<SSL_SESSION> next{SSL_get1_session(tls.get())};
  SSL_shutdown(tls.get());
  return next;
}

} // namespace

BareCost bare_tls(Bare kind, const Endpoint& server, const std::string& authority, bool resume, std::size_t connections) {
  const Owned<SSL_CTX> context{SSL_CTX_new(TLS_client_method())};
  if (!context || SSL_CTX_load_verify_file(context.get(), authority.c_str()) != 1) fail("SSL_CTX_new");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  const SocketAddress to = to_sockaddr(server);
  BareCost cost;
  std::size_t unheard = 0;
  Owned<SSL_SESSION> session = connect_once(kind, to, context.get(), nullptr, unheard);
  const double before = cpu_of_thread();
  for (std::size_t i = 0; i < connections; ++i) {
    auto next = connect_once(kind, to, context.get(), resume ? session.get() : nullptr, cost.resumed);
    session = std::move(next);
  }
  cost.us = (cpu_of_thread() - before) / static_cast<double>(connections);
  return cost;
}

} // namespace hanat::bench
