// Flows by how they began and what conntrack knows of them: who sent first {client, server} x nf_conntrack_tcp_loose {0, 1} x conntrack
// forgot the flow {no, yes}, for every protocol and every transition from the primary, asserted from the client's socket. A flow whose
// server did not change is never worse off than behind the kernel's bare DNAT rule; one whose server did goes as its service.
// Networks are chosen so that every pair of family, source, VIP, tcp_loose and forgetting meets (16 of 48), and all of them where a server
// sends first. Not here: transitions from none and removed (matrix_test), policies other than reset.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "tests/netns/daemon/failover/matrix.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/observer.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/sctp.hpp"

namespace hanat::test {
namespace {

/// A TCP connection that the server made, from the port of its service: both ends are here.
class PushedTcp {
public:
  PushedTcp(Lab& lab, Host server, const Endpoint& from, const Endpoint& client) {
    const Fd listener = socket_at(lab, Host::client, SOCK_STREAM, client.port, client.address.family());
    checked(listen(listener.get(), 1), "listen");
    server_ = lab.socket(server, client.address.family() == Family::ipv4 ? AF_INET : AF_INET6, SOCK_STREAM);
    const int yes = 1;
    setsockopt(server_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    const auto here = to_sockaddr(from);
    const auto there = to_sockaddr(client);
    checked(bind(server_.get(), here.get(), here.length), "bind the service's port");
    checked(connect(server_.get(), there.get(), there.length), "connect to the client");
    client_ = Fd{checked(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept")};
  }
  /// The client sends, and the server, which lives, answers what comes.
  Attempt ask(const std::string& name, milliseconds deadline) {
    const auto start = TestClock::now();
    if (send(client_.get(), "x", 1, MSG_NOSIGNAL) < 0) return ended(errno, start);
    std::array<char, 64> buffer;
    while (TestClock::now() < start + deadline) {
      std::array<pollfd, 2> polled{pollfd{.fd = client_.get(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = server_.get(), .events = POLLIN, .revents = 0}};
      poll(polled.data(), polled.size(), 20);
      if (polled[1].revents != 0 && recv(server_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0)
        (void)send(server_.get(), name.data(), name.size(), MSG_NOSIGNAL);
      if (polled[0].revents == 0) continue;
      const ssize_t got = recv(client_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0) return ended(errno, start);
      return {.result = got == 0 ? Result::closed : Result::answered,
              .latency = TestClock::now() - start,
              .text = std::string(buffer.data(), static_cast<std::size_t>(got))};
    }
    return {.result = Result::timeout, .latency = TestClock::now() - start, .text = {}};
  }
  /// What the client learns without sending anything.
  Attempt wait(milliseconds deadline) {
    const auto start = TestClock::now();
    std::array<char, 64> buffer;
    if (!readable_within(client_, deadline)) return {.result = Result::timeout, .latency = deadline, .text = {}};
    return recv(client_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) < 0
               ? ended(errno, start)
               : Attempt{.result = Result::closed, .latency = TestClock::now() - start, .text = {}};
  }

private:
  static Attempt ended(int error, TestClock::time_point start) {
    return {.result = result_of(error), .latency = TestClock::now() - start, .text = std::strerror(error)};
  }
  Fd server_, client_;
};

struct FlowCell {
  Protocol protocol;
  bool server_first;
  Where to;
  std::uint16_t port; // of its VIP and its servers; what their health depends on is 1,000 below
  std::unique_ptr<Vital> vital_primary, vital_backup;
  std::unique_ptr<TcpServer> tcp_primary, tcp_backup;
  std::unique_ptr<UdpServer> udp_primary, udp_backup;
  std::optional<TcpClient> tcp;
  std::optional<PushedTcp> pushed;
  std::optional<UdpClient> udp;
  std::optional<SctpClient> sctp;

  std::string name() const {
    return fmt::format("{}-first-{}-{}", server_first ? "server" : "client", to_text(protocol), name_of_where(to));
  }
  std::uint16_t client_port() const { return static_cast<std::uint16_t>(port + 10'000); }
};

struct Net {
  Family family;
  std::string snat;
  bool local, loose, forgets;
};

std::vector<Net> nets() {
  std::vector<Net> all;
  for (const bool loose : {false, true})
    for (const bool forgets : {false, true}) {
      for (const bool local : {false, true}) // a server sends first where sources are kept
        all.push_back({(loose + forgets + local) % 2 == 0 ? Family::ipv4 : Family::ipv6, "none", local, loose, forgets});
      all.push_back({loose == forgets ? Family::ipv6 : Family::ipv4, "masquerade", !loose, loose, forgets});
      all.push_back({loose == forgets ? Family::ipv4 : Family::ipv6, "fixed", loose, loose, forgets});
    }
  return all;
}

std::string name_of(const Net& net) {
  return fmt::format("{}{}{}Loose{}{}", net.family == Family::ipv4 ? "IPv4" : "IPv6",
                     net.snat == "none"         ? "SourceKept"
                     : net.snat == "masquerade" ? "Masquerade"
                                                : "FixedSource",
                     net.local ? "VipLocal" : "VipRouted", net.loose ? "On" : "Off", net.forgets ? "Forgotten" : "Known");
}
void PrintTo(const Net& net, std::ostream* stream) { *stream << name_of(net); }

class MatrixFlows : public testing::TestWithParam<Net> {
protected:
  Endpoint vip(const FlowCell& cell) const { return Lab::vip(cell.port, GetParam().family); }

  void make_cells() {
    std::uint16_t port = 21'000;
    for (const bool server_first : {false, true})
      for (const Protocol protocol : all_protocols)
        for (const Where to : all_wheres) {
          if (server_first && (protocol == Protocol::sctp || GetParam().snat != "none")) continue;
          FlowCell& cell = *cells_.emplace_back(
              std::make_unique<FlowCell>(FlowCell{protocol, server_first, to, ++port, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}));
          const auto vital = static_cast<std::uint16_t>(port - 1'000);
          cell.vital_primary = std::make_unique<Vital>(lab_, Host::primary, vital);
          cell.vital_backup = std::make_unique<Vital>(lab_, Host::backup, vital);
        }
  }

  /// All services, or those that are left.
  std::string config(bool all) const {
    std::string text;
    for (const auto& cell : cells_)
      if (all || cell->to != Where::removed)
        text += fmt::format("[service.{}]\nlisten = \"{}/{}\"\nprimary = \"{}\"\nbackup = \"{}\"\nsnat = \"{}\"\n"
                            "probe = {{ type = \"tcp\", port = {}, interval = \"100ms\", fast_interval = \"10ms\", timeout = \"500ms\" }}\n"
                            "down = {{ fails = 2, within = \"2s\" }}\nup = {{ passes = 1, stable_for = \"0s\" }}\n",
                            cell->name(), to_text(vip(*cell)), to_text(cell->protocol),
                            to_text(Lab::endpoint(Host::primary, cell->port, GetParam().family)),
                            to_text(Lab::endpoint(Host::backup, cell->port, GetParam().family)),
                            GetParam().snat == "fixed" ? Lab::gateway_address(Host::primary, GetParam().family).text() : GetParam().snat,
                            cell->port - 1'000);
    return text;
  }

  /// A gateway that translates whatever its servers send, as most do, here to the VIP.
  void translate_servers() {
    lab_.must(Host::gateway, "nft -f - <<'END'\ntable inet operators {\n  chain post {\n    type nat hook postrouting priority 100;\n"
                             "    ip saddr { 198.18.11.2, 198.18.12.2 } oifname \"to-client\" snat ip to 203.0.113.10\n"
                             "    ip6 saddr { fd00:11::2, fd00:12::2 } oifname \"to-client\" snat ip6 to 2001:db8::10\n  }\n}\nEND");
  }

  /// The flow at the primary; which of both ends sends first is the cell's.
  std::string begin(FlowCell& cell) {
    const Endpoint client = Lab::endpoint(Host::client, cell.client_port(), GetParam().family);
    if (cell.server_first && cell.protocol == Protocol::tcp)
      cell.pushed.emplace(lab_, Host::primary, Lab::endpoint(Host::primary, cell.port, GetParam().family), client);
    cell.tcp_primary = std::make_unique<TcpServer>(lab_, Host::primary, cell.port, "primary");
    cell.tcp_backup = std::make_unique<TcpServer>(lab_, Host::backup, cell.port, "backup");
    cell.udp_primary = std::make_unique<UdpServer>(lab_, Host::primary, cell.port, "primary");
    cell.udp_backup = std::make_unique<UdpServer>(lab_, Host::backup, cell.port, "backup");
    switch (cell.protocol) {
    case Protocol::tcp:
      if (!cell.server_first) cell.tcp.emplace(lab_, Host::client, vip(cell));
      break;
    case Protocol::udp:
      cell.udp.emplace(lab_, Host::client, vip(cell), cell.client_port());
      if (cell.server_first) cell.udp_primary->send(client, "a push");
      break;
    case Protocol::sctp:
      cell.sctp.emplace(lab_, Host::client, vip(cell), cell.client_port());
      cell.sctp->connect();
      break;
    }
    const Attempt attempt = ask(cell, patience);
    return attempt.text == "primary" ? "" : fmt::format("at the start it was {}", testing::PrintToString(attempt));
  }

  static Attempt ask(FlowCell& cell, milliseconds deadline) {
    if (cell.pushed) return cell.pushed->ask("primary", deadline);
    if (cell.tcp) return cell.tcp->ask(deadline);
    return cell.udp ? cell.udp->ask(deadline) : cell.sctp->ask(deadline);
  }

  void go() {
    for (const auto& cell : cells_) {
      cell->vital_primary->live(cell->to == Where::primary);
      cell->vital_backup->live(is_server(cell->to));
    }
    const Output reload = hanatd_->reload(config(false));
    ASSERT_EQ(reload.exit, 0) << reload.err;
    hanatd_->wait_for(
        [&](const Status& status) {
          std::map<std::string, std::string> targets;
          for (const ServiceStatus& one : status.services) targets[one.name] = one.target;
          return std::ranges::all_of(
              cells_, [&](const auto& cell) { return cell->to == Where::removed || targets[cell->name()] == name_of_where(cell->to); });
        },
        milliseconds{15'000});
    wait_until_gone(lab_, cells_, &FlowCell::to);
  }

  /// Its server is the same as before. TCP that conntrack has forgotten goes on where the kernel picks connections up in the middle and the
  /// server sees the same source again, which with hanat's random source ports it does not. Where nobody picks it up its client is reset
  /// some seconds later (forgotten_test).
  std::string stays(FlowCell& cell) {
    const bool may_break = cell.protocol == Protocol::tcp && GetParam().forgets && (!GetParam().loose || GetParam().snat != "none");
    if (may_break) {
      const Attempt attempt = ask(cell, patience / 4);
      const bool right = attempt.text == "primary" || attempt.result == Result::reset || !GetParam().loose;
      return right ? "" : fmt::format("a forgotten flow was {}", testing::PrintToString(attempt));
    }
    Attempt attempt = ask(cell, patience);
    if (cell.protocol != Protocol::tcp && attempt.result == Result::timeout) attempt = ask(cell, patience); // a datagram may be lost
    return attempt.text == "primary" ? "" : fmt::format("a flow that should stay was {}", testing::PrintToString(attempt));
  }

  /// Nobody can notify the client of a connection that conntrack has forgotten: it learns when it sends.
  std::string tcp_ends(FlowCell& cell) {
    if (GetParam().forgets && cell.to == Where::removed) { // the VIP is nobody's, and nothing is known of the connection
      const Attempt attempt = ask(cell, milliseconds{300});
      return attempt.result != Result::answered ? "" : fmt::format("a removed service's flow was {}", testing::PrintToString(attempt));
    }
    constexpr milliseconds long_enough{4'000};
    const Attempt attempt = GetParam().forgets ? ask(cell, patience)
                            : cell.pushed      ? cell.pushed->wait(long_enough)
                                               : cell.tcp->wait_for_end(long_enough);
    return attempt.result == Result::reset ? "" : fmt::format("a connection should be reset, and was {}", testing::PrintToString(attempt));
  }

  /// Also while the old server, which lives, goes on sending.
  std::string moves(FlowCell& cell) {
    if (cell.protocol == Protocol::tcp) return tcp_ends(cell);
    const Endpoint client = Lab::endpoint(Host::client, cell.client_port(), GetParam().family);
    Attempt attempt;
    // What is cut a second later with TCP's entries comes too late. Flows of what was removed are recorded first, and then cut.
    const auto end = TestClock::now() + milliseconds{cell.to == Where::removed ? 3000 : 600};
    do {
      if (cell.server_first && cell.to != Where::removed) cell.udp_primary->send(client, "a push");
      attempt = ask(cell, milliseconds{100});
      if (is_server(cell.to) && attempt.text == name_of_where(cell.to)) return "";
      if (cell.to == Where::none && attempt.result == Result::refused) return "";
      if (cell.to == Where::removed && nobody_answers([&] { return ask(cell, milliseconds{100}); })) return "";
    } while (TestClock::now() < end);
    return fmt::format("a flow was {}", testing::PrintToString(attempt));
  }

  std::string new_flow(const FlowCell& cell) {
    const auto source = static_cast<std::uint16_t>(cell.port + 20'000);
    const milliseconds deadline = cell.to == Where::removed ? milliseconds{100} : patience;
    Attempt attempt;
    const auto ask_anew = [&] {
      switch (cell.protocol) {
      case Protocol::tcp: attempt = connect_once(lab_, Host::client, vip(cell), deadline); break;
      case Protocol::udp: attempt = UdpClient{lab_, Host::client, vip(cell), source}.ask(deadline); break;
      case Protocol::sctp: attempt = SctpClient{lab_, Host::client, vip(cell), source}.connect(deadline); break;
      }
      return attempt;
    };
    if (cell.to == Where::removed) return nobody_answers(ask_anew) ? "" : "a new flow of a removed service was answered";
    ask_anew();
    if (cell.protocol != Protocol::tcp && attempt.result == Result::timeout) ask_anew(); // a datagram, or an ICMP error, may be lost
    if (is_server(cell.to) && attempt.text == name_of_where(cell.to)) return "";
    if (cell.to == Where::none && attempt.result == Result::refused) return "";
    return fmt::format("a new flow was {}", testing::PrintToString(attempt));
  }

  static constexpr milliseconds patience{2'000};

  Lab lab_{{.vip_local = GetParam().local, .return_routes = GetParam().snat != "masquerade", .tcp_loose = GetParam().loose}};
  SctpServer sctp_primary_{lab_, Host::primary, "primary"}, sctp_backup_{lab_, Host::backup, "backup"};
  std::vector<std::unique_ptr<FlowCell>> cells_;
  std::optional<Hanatd> hanatd_;
};

INSTANTIATE_TEST_SUITE_P(, MatrixFlows, testing::ValuesIn(nets()), [](const auto& net) { return name_of(net.param); });

TEST_P(MatrixFlows, NoFlowIsWorseOffThanItsServiceMakesIt) {
  refuse_without_limit(lab_);
  translate_servers();
  make_cells();
  for (const auto& cell : cells_) {
    cell->vital_primary->live(true);
    cell->vital_backup->live(true);
  }
  hanatd_.emplace(lab_, config(true));
  hanatd_->wait_for([](const Status& status) {
    return std::ranges::all_of(status.services, [](const ServiceStatus& one) {
      return one.target == "primary" && std::ranges::all_of(one.servers, [](const ServerStatus& server) { return server.health == "up"; });
    });
  });
  in_all_cells(cells_, [this](FlowCell& cell) { return begin(cell); });
  if (HasFailure()) return;
  if (GetParam().forgets) lab_.must(Host::gateway, "conntrack -F 2>/dev/null");
  ASSERT_NO_FATAL_FAILURE(go());
  in_all_cells(cells_, [this](FlowCell& cell) {
    const std::string wrong = cell.to == Where::primary ? stays(cell) : moves(cell);
    return wrong.empty() ? new_flow(cell) : wrong;
  });
  fmt::print("{} cells\n", cells_.size());
}

/// What is expected of flows whose server stays, is what the kernel does without hanat.
TEST_P(MatrixFlows, ABareRuleKeepsWhatIsExpectedToStay) {
  translate_servers();
  make_cells();
  std::erase_if(cells_, [](const auto& cell) { return cell->to != Where::primary; });
  const bool v4 = GetParam().family == Family::ipv4;
  const std::string ip = v4 ? "ip" : "ip6";
  const std::string server = Lab::address(Host::primary, GetParam().family).text();
  std::string rules = "table inet bare {\n  chain pre {\n    type nat hook prerouting priority -100;\n";
  for (const auto& cell : cells_)
    rules += fmt::format("    {0} daddr {1} {2} dport {3} dnat {0} to {4}\n", ip, vip(*cell).address.text(), to_text(cell->protocol),
                         cell->port, server);
  rules += "  }\n  chain post {\n    type nat hook postrouting priority 100;\n";
  if (GetParam().snat != "none")
    rules += fmt::format("    ct status dnat {0} daddr {1} {2}\n", ip, server,
                         GetParam().snat == "masquerade"
                             ? "masquerade"
                             : fmt::format("snat {} to {}", ip, Lab::gateway_address(Host::primary, GetParam().family).text()));
  lab_.must(Host::gateway, "nft -f - <<'END'\n" + rules + "  }\n}\nEND");
  in_all_cells(cells_, [this](FlowCell& cell) { return begin(cell); });
  if (HasFailure()) return;
  if (GetParam().forgets) lab_.must(Host::gateway, "conntrack -F 2>/dev/null");
  in_all_cells(cells_, [this](FlowCell& cell) { return stays(cell); });
}

} // namespace
} // namespace hanat::test
