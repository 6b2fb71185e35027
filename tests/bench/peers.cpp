// hanat beside nftlb, the other daemon of Debian that lets nftables translate: starting with many services, moving one of them by order,
// memory. nftlb probes nothing, and so is ordered as a health checker would do it, through its HTTP interface; hanatd through its socket.
// hanat-bench-peers [short]. Needs root and Debian's nftlb; works in a Lab of its own for each. Not here: HAProxy (detect, forward).
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/client.hpp"
#include "tests/bench/memory.hpp"
#include "tests/bench/served.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/process.hpp"

namespace hanat::bench {
namespace {

using test::checked;
using test::Host;
using test::Lab;
using test::milliseconds;
using test::TestClock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::uint16_t server_port = 8443;
constexpr std::uint16_t api_port = 5555;

/// A gateway's program with services at the ports 1 to N of one address, each with the same primary and backup.
class Balancer {
public:
  virtual ~Balancer() = default;
  virtual std::string_view name() const = 0;
  virtual void launch() = 0;
  virtual void move(std::uint16_t service, bool to_backup) = 0;
  virtual pid_t pid() const = 0;
};

class Hanat final : public Balancer {
public:
  Hanat(Lab& lab, std::uint16_t services) : hanatd_(lab, config(services), {.start = false}) {}
  std::string_view name() const override { return "hanatd"; }
  void launch() override { hanatd_.launch(); }
  void move(std::uint16_t service, bool to_backup) override {
    call(hanatd_.socket(), "Force", {{"service", fmt::format("s{}", service)}, {"server", to_backup ? "backup" : "primary"}});
  }
  pid_t pid() const override { return hanatd_.pid(); }

private:
  static std::string config(std::uint16_t services) {
    std::string text =
        "[hanatd]\non_stop = \"remove\"\n\n[defaults]\nprobe = { type = \"tcp\", interval = \"10s\", fast_interval = \"1s\" }\n\n";
    for (unsigned port = 1; port <= services; ++port)
      text +=
          fmt::format("[service.s{0}]\nlisten = \"203.0.113.10:{0}/tcp\"\nprimary = \"198.18.11.2:{1}\"\nbackup = \"198.18.12.2:{1}\"\n\n",
                      port, server_port);
    return text;
  }
  test::Hanatd hanatd_;
};

class Nftlb final : public Balancer {
public:
  Nftlb(Lab& lab, std::uint16_t services) : lab_(lab), file_((std::filesystem::temp_directory_path() / "hanat-nftlb-XXXXXX").string()) {
    const int fd = checked(mkstemp(file_.data()), "mkstemp");
    close(fd);
    std::ofstream{file_} << config(services);
  }
  ~Nftlb() override {
    process_.reset();
    std::filesystem::remove(file_);
  }
  std::string_view name() const override { return "nftlb"; }
  void launch() override {
    process_.emplace(
        lab_.spawn(Host::gateway, {"nftlb", "-k", "key", "-H", "127.0.0.1", "-P", std::to_string(api_port), "-l", "3", "-c", file_}));
  }
  /// The backup has a priority behind the primary's: it serves while the primary is down.
  void move(std::uint16_t service, bool to_backup) override {
    const nlohmann::ordered_json primary{{"name", "primary"}, {"state", to_backup ? "down" : "up"}};
    const std::string body = nlohmann::ordered_json{{"farms", {{{"name", fmt::format("s{}", service)}, {"backends", {primary}}}}}}.dump();
    const std::string answer =
        ask(fmt::format("PUT /farms HTTP/1.1\r\nHost: localhost\r\nKey: key\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
    if (answer.find("success") == answer.npos) throw std::runtime_error("nftlb: " + answer);
  }
  pid_t pid() const override { return process_.value().pid(); }

private:
  /// nftlb reads from front to back: a name comes before what belongs to it.
  static std::string config(std::uint16_t services) {
    const auto backend = [](const char* name, const char* address, const char* priority) {
      return nlohmann::ordered_json{
          {"name", name}, {"ip-addr", address}, {"port", std::to_string(server_port)}, {"priority", priority}, {"state", "up"}};
    };
    nlohmann::ordered_json farms = nlohmann::ordered_json::array();
    for (unsigned port = 1; port <= services; ++port)
      farms.push_back({{"name", fmt::format("s{}", port)},
                       {"family", "ipv4"},
                       {"virtual-addr", "203.0.113.10"},
                       {"virtual-ports", std::to_string(port)},
                       {"mode", "dnat"},
                       {"protocol", "tcp"},
                       {"scheduler", "rr"},
                       {"state", "up"},
                       {"backends", {backend("primary", "198.18.11.2", "1"), backend("backup", "198.18.12.2", "2")}}});
    return nlohmann::ordered_json{{"farms", std::move(farms)}}.dump();
  }
  /// One request and its answer, on a connection of its own, as a health checker makes them.
  std::string ask(const std::string& request) {
    const Fd socket = lab_.socket(Host::gateway, AF_INET, SOCK_STREAM);
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(api_port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    checked(connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect to nftlb");
    checked(static_cast<int>(send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL)), "send to nftlb");
    std::string answer;
    std::array<char, 4096> piece;
    for (ssize_t got = 1; got > 0 && answer.find("\"response\"") == answer.npos;) {
      got = checked(static_cast<int>(recv(socket.get(), piece.data(), piece.size(), 0)), "receive from nftlb");
      answer.append(piece.data(), static_cast<std::size_t>(got));
    }
    return answer;
  }

  Lab& lab_;
  std::string file_;
  std::optional<test::Process> process_;
};

struct Figures {
  std::vector<double> started, served, replied, memory;
};

/// Starts it with so many services, and moves some of them there and back.
void measure(std::uint16_t services, const std::function<std::unique_ptr<Balancer>(Lab&)>& make, unsigned moves, Figures& into) {
  Lab lab;
  const test::TcpServer primary{lab, Host::primary, server_port, "primary"}, backup{lab, Host::backup, server_port, "backup"};
  const std::unique_ptr<Balancer> balancer = make(lab);
  into.started.push_back(time_of<Milliseconds>([&] {
    balancer->launch();
    wait_served(lab, services, "primary", balancer->name());
  }));
  for (unsigned i = 0; i < moves; ++i) {
    const auto service = static_cast<std::uint16_t>(i / 2 * 7919U % services + 1);
    const bool to_backup = i % 2 == 0;
    const auto began = TestClock::now();
    auto order = std::async(std::launch::async, [&] { balancer->move(service, to_backup); });
    wait_served(lab, service, to_backup ? "backup" : "primary", balancer->name());
    into.served.push_back(Milliseconds{TestClock::now() - began}.count());
    order.get();
    into.replied.push_back(Milliseconds{TestClock::now() - began}.count());
    std::this_thread::sleep_for(milliseconds{100}); // what ends the old connections is no part of the next move
  }
  into.memory.push_back(memory_of(balancer->pid()));
}

void compare(std::uint16_t services, bool small) {
  Figures hanat, nftlb;
  for (int run = 0; run < (small ? 1 : 5); ++run) {
    const unsigned moves = small ? 10 : 40;
    measure(
        services, [&](Lab& lab) { return std::make_unique<Hanat>(lab, services); }, moves, hanat);
    measure(
        services, [&](Lab& lab) { return std::make_unique<Nftlb>(lab, services); }, moves, nftlb);
  }
  const auto tell = [&](const std::string& what, const char* unit, const std::vector<double>& ours, const std::vector<double>& theirs) {
    const Figure figure = figure_of(ours), peer = figure_of(theirs);
    print({.what = fmt::format("{} service{}: {} (floor: nftlb)", services, services == 1 ? "" : "s", what),
           .unit = unit,
           .figure = figure,
           .floor = peer,
           .ratio = figure.median / peer.median});
  };
  tell("start, last one served", "ms", hanat.started, nftlb.started);
  tell("moved by order, first client", "ms", hanat.served, nftlb.served);
  tell("moved by order, reply", "ms", hanat.replied, nftlb.replied);
  tell("memory, VmRSS", "MB", hanat.memory, nftlb.memory);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  return hanat::bench::run(argc, argv, [](bool small) {
    hanat::bench::compare(1, small);
    hanat::bench::compare(small ? 100 : 1'000, small);
  });
}
