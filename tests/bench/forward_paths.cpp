// Programs and tables of each way, and clients that do not wait.
#include "tests/bench/forward_paths.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::bench {
namespace {

using test::checked;
using test::Host;
using test::Lab;
using test::milliseconds;
using test::TestClock;
using Seconds = std::chrono::duration<double>;

constexpr std::uint16_t short_port = 8443, bulk_port = 8444;       // of the server
constexpr std::uint16_t vip_short_port = 443, vip_bulk_port = 444; // of the VIP, where there is one
constexpr timeval patience{.tv_sec = 10, .tv_usec = 0};            // for anything that should come at once
constexpr std::size_t piece = std::size_t{256} << 10;              // of a bulk send or receive

constexpr const char* bare_table = R"(table inet bare {
map target {
type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
elements = { 203.0.113.10 . tcp . 443 : 198.18.11.2 . 8443, 203.0.113.10 . tcp . 444 : 198.18.11.2 . 8444 }
}
chain translate {
type nat hook prerouting priority dstnat; policy accept;
dnat ip to ip daddr . meta l4proto . th dport map @target
}
}
)";

/// Beside bare_table.
constexpr const char* bare_offloading = R"(table inet bare {
flowtable flows {
hook ingress priority 0
devices = { to-client, to-primary }
}
chain offloading {
type filter hook forward priority filter; policy accept;
meta l4proto tcp flow add @flows
}
}
)";

constexpr const char* links_table = R"(table netdev links {
chain requests {
type filter hook ingress device "to-client" priority 0; policy accept;
tcp dport 8444 fwd to "to-primary"
}
chain replies {
type filter hook ingress device "to-primary" priority 0; policy accept;
tcp sport 8444 fwd to "to-client"
}
}
)";

constexpr const char* hanat_config = R"([service.short]
listen = "203.0.113.10:443/tcp"
primary = "198.18.11.2:8443"
backup = "198.18.12.2:8443"
[service.bulk]
listen = "203.0.113.10:444/tcp"
primary = "198.18.11.2:8444"
backup = "198.18.12.2:8444"
probe = { type = "tcp", port = 8443 }
)";

constexpr const char* haproxy_config = R"(global
  maxconn 1000
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen short
  bind 203.0.113.10:443
  server primary 198.18.11.2:8443
listen bulk
  bind 203.0.113.10:444
  server primary 198.18.11.2:8444
)";

constexpr const char* offload_config = "[defaults]\noffload = true\n";

/// A program's configuration, as long as it runs.
class TemporaryFile {
public:
  explicit TemporaryFile(const std::string& text) : path_((std::filesystem::temp_directory_path() / "hanat-bench-XXXXXX").string()) {
    const Fd made{checked(mkstemp(path_.data()), "mkstemp")};
    std::ofstream{path_} << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

/// Clients that never pause: whoever is done is followed by the next. (Load starts so many a second, whatever becomes of them.)
class Rush {
public:
  explicit Rush(const Endpoint& to) : to_(to_sockaddr(to)), epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll")) {}

  double run(unsigned number) {
    const auto began = TestClock::now();
    for (unsigned slot = 0; slot < clients_.size() && started_ < number; ++slot) start(slot);
    for (unsigned done = 0; done < number;) {
      std::array<epoll_event, 64> events;
      const int count =
          checked(epoll_wait(epoll_.get(), events.data(), events.size(), static_cast<int>(patience.tv_sec * 1000)), "epoll_wait");
      if (count == 0) throw std::runtime_error("short connections: no progress");
      for (int i = 0; i < count; ++i) {
        const unsigned slot = events[static_cast<std::size_t>(i)].data.u32;
        if (!step(slot)) continue;
        ++done;
        if (started_ < number) start(slot);
      }
    }
    return number / Seconds{TestClock::now() - began}.count();
  }

private:
  struct Client {
    Fd socket;
    bool asked = false;
  };
  void watch(unsigned slot, int how, std::uint32_t what) {
    epoll_event event{.events = what, .data = {.u32 = slot}};
    checked(epoll_ctl(epoll_.get(), how, clients_.at(slot).socket.get(), &event), "epoll_ctl");
  }
  void start(unsigned slot) {
    ++started_;
    clients_.at(slot) = {.socket = Fd{checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")}};
    if (connect(clients_.at(slot).socket.get(), to_.get(), to_.length) != 0 && errno != EINPROGRESS) checked(-1, "connect");
    watch(slot, EPOLL_CTL_ADD, EPOLLOUT);
  }
  /// True when the client has its answer and is gone.
  bool step(unsigned slot) {
    Client& client = clients_.at(slot);
    if (!std::exchange(client.asked, true)) {
      checked(static_cast<int>(send(client.socket.get(), "who\n", 4, MSG_NOSIGNAL)), "ask");
      watch(slot, EPOLL_CTL_MOD, EPOLLIN);
      return false;
    }
    std::array<char, 256> buffer;
    const ssize_t got = recv(client.socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0 || buffer.at(static_cast<std::size_t>(got) - 1) != '\n') throw std::runtime_error("a short connection without its answer");
    client.socket.reset();
    return true;
  }

  SocketAddress to_;
  Fd epoll_;
  std::array<Client, 64> clients_;
  unsigned started_ = 0;
};

} // namespace

std::string name_of(Way way) {
  switch (way) {
  case Way::bare_map: return "a bare DNAT map";
  case Way::bare_flowtable: return "a bare flowtable";
  case Way::hanat: return "hanat's table";
  case Way::offload: return "hanat's flowtable";
  case Way::routing: return "plain routing";
  case Way::haproxy: return "HAProxy";
  case Way::ipvs: return "IPVS";
  case Way::links: return "the links alone";
  }
  return {};
}

/// Client, gateway and server, and what stands on the gateway.
struct Path::Parts {
  explicit Parts(Way way)
      : lab_({.vip_local = way == Way::haproxy || way == Way::ipvs}), listener_(lab_.socket(Host::primary, AF_INET, SOCK_STREAM)) {
    const SocketAddress any = to_sockaddr({.address = Address{}, .port = bulk_port});
    checked(bind(listener_.get(), any.get(), any.length), "bind");
    checked(listen(listener_.get(), 16), "listen");
    setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const bool routed = way == Way::routing || way == Way::links;
    short_ = routed ? Lab::endpoint(Host::primary, short_port) : Lab::vip(vip_short_port);
    bulk_ = routed ? Lab::endpoint(Host::primary, bulk_port) : Lab::vip(vip_bulk_port);
    set_up(way);
    await();
  }

  /// Gbit/s of one stream, as the server receives it.
  double bulk(milliseconds duration) {
    auto received = std::async(std::launch::async, [this] { return receive(); });
    const Fd socket = lab_.socket(Host::client, AF_INET, SOCK_STREAM);
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const SocketAddress to = to_sockaddr(bulk_);
    checked(connect(socket.get(), to.get(), to.length), "connect for bulk");
    const std::vector<char> bytes(piece);
    for (const auto end = TestClock::now() + duration; TestClock::now() < end;)
      checked(static_cast<int>(send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL)), "send bulk");
    shutdown(socket.get(), SHUT_WR);
    return received.get();
  }

  /// Connect, one request, its answer, close: so many a second, 64 at a time.
  double connects(unsigned number) {
    return lab_.in(Host::client, [&] { return Rush{short_}.run(number); });
  }

  bool has_flowtable() {
    for (const auto end = TestClock::now() + milliseconds{5'000}; TestClock::now() < end;) {
      if (lab_.run(Host::gateway, "nft list flowtable inet hanat flows").exit == 0) return true;
      if (hanatd_->log().find("no flowtables") != std::string::npos) return false;
      std::this_thread::sleep_for(milliseconds{20});
    }
    return false;
  }
  void load(const std::string& table) {
    if (const test::Output made = lab_.run(Host::gateway, {"nft", "-f", "-"}, table); made.exit != 0)
      throw std::runtime_error("nft: " + made.err);
  }
  void set_up(Way way) {
    switch (way) {
    case Way::routing: return;
    case Way::links: return load(links_table);
    case Way::bare_map: return load(bare_table);
    case Way::bare_flowtable: return load(std::string{bare_table} + bare_offloading);
    case Way::hanat: hanatd_.emplace(lab_, hanat_config); return;
    case Way::offload: hanatd_.emplace(lab_, std::string{offload_config} + hanat_config); return;
    case Way::haproxy:
      lab_.sysctl(Host::gateway, "net.ipv4.ip_local_port_range", "10000 65535"); // as the clients have it
      lab_.sysctl(Host::gateway, "net.ipv4.tcp_tw_reuse", "1");
      file_.emplace(haproxy_config);
      haproxy_.emplace(lab_.spawn(Host::gateway, {"haproxy", "-db", "-f", file_->path()}));
      return;
    case Way::ipvs:
      for (const auto& [of_vip, of_server] : {std::pair{vip_short_port, short_port}, std::pair{vip_bulk_port, bulk_port}})
        lab_.must(Host::gateway, fmt::format("ipvsadm -A -t 203.0.113.10:{0} -s rr && ipvsadm -a -t 203.0.113.10:{0} -r 198.18.11.2:{1} -m",
                                             of_vip, of_server));
      return;
    }
  }
  void await() {
    for (const auto end = TestClock::now() + milliseconds{10'000}; TestClock::now() < end;) {
      if (test::connect_once(lab_, Host::client, short_, milliseconds{200}).text == "primary") return;
      if (haproxy_ && !haproxy_->running()) throw std::runtime_error("haproxy ended: is it installed?");
      std::this_thread::sleep_for(milliseconds{20});
    }
    throw std::runtime_error("no answer of the server");
  }
  double receive() const {
    const Fd socket{checked(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept bulk")};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const auto began = TestClock::now();
    std::vector<char> bytes(piece);
    double total = 0;
    for (ssize_t got = 1; got > 0; total += static_cast<double>(got))
      got = checked(static_cast<int>(recv(socket.get(), bytes.data(), bytes.size(), 0)), "receive bulk");
    return total * 8 / 1e9 / Seconds{TestClock::now() - began}.count();
  }

  Lab lab_;
  test::TcpServer server_{lab_, Host::primary, short_port, "primary"};
  Fd listener_;
  Endpoint short_, bulk_;
  std::optional<test::Hanatd> hanatd_;
  std::optional<TemporaryFile> file_;
  std::optional<test::Process> haproxy_;
  std::optional<Conversations> conversations_;
};

Path::Path(Way way) : parts_(std::make_unique<Parts>(way)) {}
Path::~Path() = default;
double Path::bulk(milliseconds duration) { return parts_->bulk(duration); }
double Path::connects(unsigned number) { return parts_->connects(number); }
Conversations& Path::conversations() {
  if (!parts_->conversations_) parts_->conversations_.emplace(parts_->lab_, parts_->bulk_, Lab::endpoint(Host::primary, bulk_port));
  return *parts_->conversations_;
}
bool Path::has_flowtable() { return parts_->has_flowtable(); }
void Path::send_single_segments() {
  for (const Host host : {Host::client, Host::primary}) parts_->lab_.must(host, "ip link set dev eth0 gso_max_segs 1");
}

} // namespace hanat::bench
