// The client's interface becomes the outer one of the new router, and the client gets another behind it.
#include "tests/netns/lab/routers.hpp"

#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace hanat::test {
namespace {

void run_in(const Namespace& place, const std::vector<std::string>& argv, const std::string& input) {
  Output output;
  place.enter([&] { output = collect(argv, std::chrono::seconds{20}, input); });
  if (output.exit != 0)
    throw std::runtime_error(fmt::format("{}: exit {}\n{}{}\n{}", argv.front(), output.exit, output.out, output.err, input));
}

/// Before any link exists, so that every link starts with them.
void make_router(const Namespace& place) {
  place.enter([] {
    for (const auto& [name, value] : {std::pair{"ipv4/ip_forward", "1"}, std::pair{"ipv6/conf/all/disable_ipv6", "0"},
                                      std::pair{"ipv6/conf/default/disable_ipv6", "0"}, std::pair{"ipv6/conf/all/forwarding", "1"},
                                      std::pair{"ipv6/conf/default/accept_dad", "0"}, std::pair{"ipv6/conf/default/addr_gen_mode", "1"}}) {
      std::ofstream file(std::string{"/proc/sys/net/"} + name);
      if (!(file << value << std::flush)) throw std::system_error(errno, std::generic_category(), std::string{"set "} + name);
    }
  });
}

constexpr const char* filter = R"(table inet router {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state invalid drop
    ct state established,related accept
    iifname "lan" accept
  }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state invalid drop
  }
}
)";
constexpr const char* translation = R"(table inet translate {
  chain source {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wan" masquerade
  }
}
)";

} // namespace

Routers::Routers(Lab& lab, std::size_t number, RouterKind kind) {
  if (kind == RouterKind::filtering && number > 1) throw std::invalid_argument("the gateway knows the net of one router only");
  for (std::size_t count = 0; count < number; ++count) insert(lab, count, kind);
}

void Routers::insert(Lab& lab, std::size_t number, RouterKind kind) {
  Namespace& router = *places_.emplace_back(std::make_unique<Namespace>());
  Namespace& client = lab.place(Host::client);
  make_router(router);
  run_in(client, {"ip", "-batch", "-"}, fmt::format("link set eth0 netns {}\n", router.path()));
  // The first one has the client's old address; the others are clients of the one before.
  const std::size_t outer = number == 0 ? 0 : 100 + number - 1, inner = 100 + number;
  const std::string address4 = number == 0 ? Lab::address(Host::client).text() : fmt::format("198.18.{}.2", outer);
  const std::string address6 = number == 0 ? Lab::address(Host::client, Family::ipv6).text() : fmt::format("fd00:{}::2", outer);
  const std::string next4 = number == 0 ? Lab::gateway_address(Host::client).text() : fmt::format("198.18.{}.1", outer);
  const std::string next6 = number == 0 ? Lab::gateway_address(Host::client, Family::ipv6).text() : fmt::format("fd00:{}::1", outer);
  run_in(router, {"ip", "-batch", "-"},
         fmt::format("link set lo up\nlink set eth0 name wan\naddress add {0}/24 dev wan\naddress add {1}/64 dev wan nodad\n"
                     "address add fe80::2/64 dev wan nodad\nlink set wan up\nroute add default via {2}\nroute add ::/0 via {3}\n"
                     "link add lan type veth peer name eth0 netns {4}\naddress add 198.18.{5}.1/24 dev lan\n"
                     "address add fd00:{5}::1/64 dev lan nodad\naddress add fe80::1/64 dev lan nodad\nlink set lan up\n",
                     address4, address6, next4, next6, client.path(), inner));
  run_in(router, {"nft", "-f", "-"}, std::string{filter} + (kind == RouterKind::translating ? translation : ""));
  run_in(
      client, {"ip", "-batch", "-"},
      fmt::format(
          "address add 198.18.{0}.2/24 dev eth0\naddress add fd00:{0}::2/64 dev eth0 nodad\n"
          "address add fe80::2/64 dev eth0 nodad\nlink set eth0 up\nroute add default via 198.18.{0}.1\nroute add ::/0 via fd00:{0}::1\n",
          inner));
  if (kind == RouterKind::filtering)
    lab.must(Host::gateway,
             fmt::format("ip route add 198.18.{0}.0/24 via {1} && ip -6 route add fd00:{0}::/64 via {2}", inner, address4, address6));
}

} // namespace hanat::test
