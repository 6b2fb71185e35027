// Every transition between primary, backup, none and removed, of every protocol, for each kind of address, source and VIP: generated, and
// every cell asserted from its clients' sockets. All cells of one network go through their transitions at the same time, each a service of
// its own; the servers live all the while, so whatever happens to a client is hanat's doing.
// Not here: what happens in between and to neighbours (flipping, sessions, fire), drains.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/netns/daemon/failover/matrix.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/sctp.hpp"

namespace hanat::test {
namespace {

/// A client of any protocol that stays.
class OldClient {
public:
  OldClient(Lab& lab, Protocol protocol, const Endpoint& vip, std::uint16_t port) {
    switch (protocol) {
    case Protocol::tcp: tcp_.emplace(lab, Host::client, vip); return;
    case Protocol::udp: udp_.emplace(lab, Host::client, vip, port); return;
    case Protocol::sctp:
      sctp_.emplace(lab, Host::client, vip, port);
      sctp_->connect();
      return;
    }
  }
  Attempt ask(milliseconds deadline) {
    if (tcp_) return tcp_->ask(deadline);
    return udp_ ? udp_->ask(deadline) : sctp_->ask(deadline);
  }
  /// TCP only: what it learns without sending anything.
  Attempt wait() { return tcp_->wait_for_end(milliseconds{4000}); }

private:
  std::optional<TcpClient> tcp_;
  std::optional<UdpClient> udp_;
  std::optional<SctpClient> sctp_;
};

struct Cell {
  Protocol protocol;
  Where from, to;
  std::uint16_t port; // of its VIP, and of what its servers' health depends on
  std::unique_ptr<Vital> primary, backup;
  std::unique_ptr<OldClient> first, second; // from before the first, and before the second transition

  std::string name() const { return fmt::format("{}-{}-{}", to_text(protocol), name_of_where(from), name_of_where(to)); }
};

using MatrixParameters = std::tuple<Family, std::string, bool>; // family, snat, VIP local

class Matrix : public testing::TestWithParam<MatrixParameters> {
protected:
  void make_cells() {
    std::uint16_t port = 20'000;
    for (const Protocol protocol : all_protocols)
      for (const Where from : all_wheres)
        for (const Where to : all_wheres) {
          Cell& cell = *cells_.emplace_back(std::make_unique<Cell>(Cell{protocol, from, to, ++port, {}, {}, {}, {}}));
          cell.primary = std::make_unique<Vital>(lab_, Host::primary, port);
          cell.backup = std::make_unique<Vital>(lab_, Host::backup, port);
        }
  }

  /// The configuration of all cells that are not removed.
  std::string config(Where Cell::*moment) const {
    const auto& [family, snat, local] = GetParam();
    std::string text;
    for (const auto& cell : cells_)
      if (moment == nullptr || cell.get()->*moment != Where::removed)
        text +=
            fmt::format("[service.{}]\nlisten = \"{}/{}\"\nprimary = \"{}\"\nbackup = \"{}\"\nsnat = \"{}\"\n"
                        "probe = {{ type = \"tcp\", port = {}, interval = \"100ms\", fast_interval = \"10ms\", timeout = \"500ms\" }}\n"
                        "down = {{ fails = 2, within = \"2s\" }}\nup = {{ passes = 1, stable_for = \"0s\" }}\n",
                        cell->name(), to_text(Lab::vip(cell->port, family)), to_text(cell->protocol),
                        to_text(Lab::endpoint(Host::primary, data_port, family)), to_text(Lab::endpoint(Host::backup, data_port, family)),
                        snat == "fixed" ? Lab::gateway_address(Host::primary, family).text() : snat, cell->port);
    return text;
  }

  /// Makes it so, and waits until hanatd says that it is.
  void go(Where Cell::*moment) {
    for (const auto& cell : cells_) {
      const Where where = cell.get()->*moment;
      cell->primary->live(where == Where::primary);
      cell->backup->live(where == Where::primary || where == Where::backup);
    }
    const Output reload = hanatd_->reload(config(moment));
    ASSERT_EQ(reload.exit, 0) << reload.err;
    hanatd_->wait_for(
        [&](const Status& status) {
          std::map<std::string, std::string> targets;
          for (const ServiceStatus& one : status.services) targets[one.name] = one.target;
          return std::ranges::all_of(cells_, [&](const auto& cell) {
            const Where where = cell.get()->*moment;
            return where == Where::removed || targets[cell->name()] == name_of_where(where);
          });
        },
        milliseconds{15'000});
    wait_until_gone(lab_, cells_, moment);
  }

  /// A flow that was on a server, or on none, before `to`: where is its next packet answered?
  static std::string old_flow(OldClient& client, Protocol protocol, Where from, Where to) {
    if (from == to && is_server(to)) {
      Attempt attempt = client.ask(patience / 2);
      if (protocol != Protocol::tcp && attempt.result == Result::timeout) attempt = client.ask(patience / 2); // a datagram may be lost
      return attempt.text == name_of_where(to) ? "" : fmt::format("an old flow that should stay was {}", testing::PrintToString(attempt));
    }
    if (protocol == Protocol::tcp) {
      const Attempt attempt = client.wait();
      return attempt.result == Result::reset
                 ? ""
                 : fmt::format("an old connection should be reset, and was {}", testing::PrintToString(attempt));
    }
    Attempt attempt;
    // What is cut a second later with TCP's entries comes too late. Flows of what was removed are recorded first, and then cut.
    const auto end = TestClock::now() + milliseconds{to == Where::removed ? 3000 : 600};
    do {
      attempt = client.ask(milliseconds{100});
      if (is_server(to) && attempt.text == name_of_where(to)) return "";
      if (to == Where::none && attempt.result == Result::refused) return "";
      if (to == Where::removed && nobody_answers([&] { return client.ask(milliseconds{100}); })) return "";
    } while (TestClock::now() < end);
    return fmt::format("an old flow was {}", testing::PrintToString(attempt));
  }

  std::string new_flow(const Cell& cell, Where where) {
    const Endpoint vip = Lab::vip(cell.port, std::get<Family>(GetParam()));
    const auto source = static_cast<std::uint16_t>(cell.port + 20'000 + static_cast<int>(where) * 100);
    const milliseconds deadline = where == Where::removed ? milliseconds{200} : patience;
    Attempt attempt;
    const auto ask = [&] {
      switch (cell.protocol) {
      case Protocol::tcp: attempt = connect_once(lab_, Host::client, vip, deadline); break;
      case Protocol::udp: attempt = UdpClient{lab_, Host::client, vip, source}.ask(deadline); break;
      case Protocol::sctp: attempt = SctpClient{lab_, Host::client, vip, source}.connect(deadline); break;
      }
      return attempt;
    };
    if (where == Where::removed && nobody_answers(ask)) return "";
    if (where != Where::removed) ask();
    if (cell.protocol != Protocol::tcp && attempt.result == Result::timeout) ask(); // a datagram, or an ICMP error, may be lost
    if (is_server(where) && attempt.text == name_of_where(where)) return "";
    if (where == Where::none && attempt.result == Result::refused) return "";
    return fmt::format("a new flow with {} was {}", name_of_where(where), testing::PrintToString(attempt));
  }

  std::unique_ptr<OldClient> old_client(const Cell& cell, std::uint16_t ports) {
    const Endpoint vip = Lab::vip(cell.port, std::get<Family>(GetParam()));
    return std::make_unique<OldClient>(lab_, cell.protocol, vip, static_cast<std::uint16_t>(cell.port + ports));
  }

  static constexpr std::uint16_t data_port = 8443;
  static constexpr milliseconds patience{2'000};

  Lab lab_{{.vip_local = std::get<bool>(GetParam()), .return_routes = std::get<std::string>(GetParam()) != "masquerade"}};
  TcpServer tcp_primary_{lab_, Host::primary, data_port, "primary"}, tcp_backup_{lab_, Host::backup, data_port, "backup"};
  UdpServer udp_primary_{lab_, Host::primary, data_port, "primary"}, udp_backup_{lab_, Host::backup, data_port, "backup"};
  SctpServer sctp_primary_{lab_, Host::primary, "primary"}, sctp_backup_{lab_, Host::backup, "backup"};
  std::vector<std::unique_ptr<Cell>> cells_;
  std::optional<Hanatd> hanatd_;
};

std::string name_of_matrix(const testing::TestParamInfo<MatrixParameters>& info) {
  const auto& [family, snat, local] = info.param;
  return fmt::format("{}{}{}", family == Family::ipv4 ? "IPv4" : "IPv6",
                     snat == "none"         ? "SourceKept"
                     : snat == "masquerade" ? "Masquerade"
                                            : "FixedSource",
                     local ? "VipLocal" : "VipRouted");
}
INSTANTIATE_TEST_SUITE_P(, Matrix,
                         testing::Combine(testing::Values(Family::ipv4, Family::ipv6), testing::Values("none", "masquerade", "fixed"),
                                          testing::Bool()),
                         name_of_matrix);

TEST_P(Matrix, EveryFlowGoesWhereItsServiceGoes) {
  refuse_without_limit(lab_);
  make_cells();
  for (const auto& cell : cells_) {
    cell->primary->live(true);
    cell->backup->live(true);
  }
  hanatd_.emplace(lab_, config(nullptr));
  hanatd_->wait_for([](const Status& status) {
    return std::ranges::all_of(status.services, [](const ServiceStatus& one) {
      return one.target == "primary" && std::ranges::all_of(one.servers, [](const ServerStatus& server) { return server.health == "up"; });
    });
  });
  in_all_cells(cells_, [this](Cell& cell) {
    cell.first = old_client(cell, 10'000);
    const Attempt attempt = cell.first->ask(patience);
    return attempt.text == "primary" ? "" : fmt::format("at the start a flow was {}", testing::PrintToString(attempt));
  });
  ASSERT_NO_FATAL_FAILURE(go(&Cell::from));
  in_all_cells(cells_, [this](Cell& cell) {
    std::string wrong = old_flow(*cell.first, cell.protocol, Where::primary, cell.from);
    if (wrong.empty()) wrong = new_flow(cell, cell.from);
    if (is_server(cell.from)) {
      cell.second = old_client(cell, 12'000);
      if (const Attempt attempt = cell.second->ask(patience); attempt.text != name_of_where(cell.from))
        wrong += fmt::format("; a second flow was {}", testing::PrintToString(attempt));
    }
    return wrong;
  });
  ASSERT_NO_FATAL_FAILURE(go(&Cell::to));
  in_all_cells(cells_, [this](Cell& cell) {
    std::string wrong;
    if (cell.second) wrong = old_flow(*cell.second, cell.protocol, cell.from, cell.to);
    // Who sent without a connection from the start goes where the service goes, over every state in between.
    if (wrong.empty() && cell.protocol != Protocol::tcp) wrong = old_flow(*cell.first, cell.protocol, cell.from, cell.to);
    if (wrong.empty()) wrong = new_flow(cell, cell.to);
    return wrong;
  });
  fmt::print("{} cells\n", cells_.size());
}

} // namespace
} // namespace hanat::test
