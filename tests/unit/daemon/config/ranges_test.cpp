// Listeners with many ports: small ranges, large ranges, all ports, ranges mapped to other ports; and their errors.
// Not here: single ports (parse_address_test).
#include <chrono>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/probe_targets.hpp"
#include "tests/unit/daemon/config/rows.hpp"

namespace hanat {
namespace {

Address address_of(const char* text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}
Vip listener_of(const char* where, std::uint16_t port, std::uint16_t last, Protocol protocol = Protocol::tcp) {
  return {.address = address_of(where), .protocol = protocol, .port = port, .last = last};
}

constexpr const char* probe_22 = "probe = { type = \"tcp\", port = 22 }\n";

std::string service_text(const std::string& listen, const std::string& primary, const std::string& rest = probe_22,
                         const std::string& name = "a") {
  return "[service." + name + "]\nlisten = " + listen + "\nprimary = " + primary + "\n" + rest;
}
ServiceConfig service_in(const std::string& text) {
  const auto result = parse_config(text, "test");
  if (const auto* errors = std::get_if<std::vector<ConfigError>>(&result)) throw std::invalid_argument(to_text(errors->front()));
  return std::get<Config>(result).services.at(0);
}
std::string errors_in(const std::string& text) {
  const std::string errors = test::errors_of(text);
  return errors.empty() ? errors : errors + "\n";
}

TEST(ConfigRanges, MoreThanAThousandPortsStayOneEndpoint) {
  const ServiceConfig service =
      service_in(service_text(R"(["203.0.113.10:5000-6023/tcp", "203.0.113.10:7000-8024/udp"])", R"("10.0.0.11")"));
  ASSERT_EQ(service.listen.size(), 1'025U);
  EXPECT_EQ(service.listen.back(), listener_of("203.0.113.10", 7000, 8024, Protocol::udp));
  EXPECT_EQ(endpoint_for(service.servers[0], service.listen.back()), (Endpoint{address_of("10.0.0.11"), 0})) << "each flow keeps its port";
}

TEST(ConfigRanges, AStarIsEveryPort) {
  const ServiceConfig service =
      service_in(service_text(R"(["203.0.113.10:*/tcp", "[2001:db8::10]:*/sctp"])", R"(["10.0.0.11", "fd00::11"])"));
  EXPECT_EQ(service.listen, (std::vector{listener_of("203.0.113.10", 1, 65'535), listener_of("2001:db8::10", 1, 65'535, Protocol::sctp)}));
  EXPECT_EQ(service.listen_text.front(), "203.0.113.10:*/tcp");
  EXPECT_EQ(to_text(service.listen.front()), "203.0.113.10:*/tcp");
  EXPECT_EQ(to_text(service.listen.back()), "[2001:db8::10]:*/sctp");
  EXPECT_EQ(to_text(listener_of("2001:db8::10", 5, 9)), "[2001:db8::10]:5-9/tcp");
}

TEST(ConfigRanges, ARangeIsMappedToAnotherOfItsLengthPortByPort) {
  const ServiceConfig service =
      service_in(service_text(R"(["203.0.113.10:5000-5100/udp", "203.0.113.11:7000-7100/tcp", "[2001:db8::10]:5000-5100/udp"])",
                              R"(["10.0.0.11:6000-6100", "fd00::11"])"));
  ASSERT_EQ(service.listen.size(), 303U);
  const ServerConfig& server = service.servers[0];
  const auto at = [&](const char* where, std::uint16_t port, Protocol protocol) {
    return endpoint_for(server, {.address = address_of(where), .protocol = protocol, .port = port});
  };
  EXPECT_EQ(at("203.0.113.10", 5000, Protocol::udp), (Endpoint{address_of("10.0.0.11"), 6000}));
  EXPECT_EQ(at("203.0.113.10", 5100, Protocol::udp), (Endpoint{address_of("10.0.0.11"), 6100}));
  EXPECT_EQ(at("203.0.113.11", 7042, Protocol::tcp), (Endpoint{address_of("10.0.0.11"), 6042}));
  EXPECT_EQ(at("2001:db8::10", 5042, Protocol::udp), (Endpoint{address_of("fd00::11"), 5042})) << "no range: the port of the listener";
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{6000, 6001, 6100})
    EXPECT_TRUE(serves_at(server, {address_of("10.0.0.11"), port})) << port;
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{5999, 6101, 5000})
    EXPECT_FALSE(serves_at(server, {address_of("10.0.0.11"), port})) << port;
}

TEST(ConfigRanges, AProbeNeedsAPortIfNoListenerGivesOne) {
  const auto port_of = [](const std::string& text) {
    const ServiceConfig service = service_in(text);
    return probes_for(service, service.servers[0]).at(0).server.port;
  };
  EXPECT_EQ(port_of(service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.11")")), 22);
  EXPECT_EQ(port_of(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11")", "")), 5000) << "the first port of a small range";
  EXPECT_EQ(port_of(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11:6000-6100")", "")), 6000);
  EXPECT_EQ(port_of(service_text(R"(["203.0.113.10:*/tcp", "203.0.113.11:443/tcp"])", R"("10.0.0.11")", "")), 443);
  EXPECT_EQ(port_of(service_text(R"("203.0.113.10:*/udp")", R"("10.0.0.11")", "probe = { type = \"dns\" }\n")), 53);
  EXPECT_EQ(port_of(service_text(R"("203.0.113.10:*/udp")", R"("10.0.0.11")", "probe = { type = \"icmp\" }\n")), 0);
  EXPECT_EQ(
      errors_in(service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.11")", "")),
      R"(1:1: the listener "203.0.113.10:*/tcp" of service a has too many ports to choose one for the probe: write a port that the server listens on, as in probe = { type = "tcp", port = 22 }
)");
  EXPECT_EQ(
      errors_in(service_text(R"("203.0.113.10:1000-3000/udp")", R"("10.0.0.11")", "probe = { type = \"udp\", send = \"x\" }\n")),
      R"(4:9: the listener "203.0.113.10:1000-3000/udp" of service a has too many ports to choose one for the probe: write a port that the server listens on, as in probe = { type = "udp", port = 514, send = "..." }
)");
}

TEST(ConfigRanges, OverlappingListenersGiveAnErrorWithBothLocations) {
  EXPECT_EQ(errors_in(service_text(R"(["203.0.113.10:*/tcp", "203.0.113.10:22/tcp", "203.0.113.10:22/udp"])", R"("10.0.0.11")")),
            R"(2:33: "203.0.113.10:22/tcp" overlaps "203.0.113.10:*/tcp" of service a (line 2) at port 22: give each port to one listener
)");
  EXPECT_EQ(
      errors_in(service_text(R"("203.0.113.10:22/tcp")", R"("10.0.0.11:22")") +
                service_text(R"("203.0.113.10:20-9000/tcp")", R"("10.0.0.12")", probe_22, "b") +
                service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.13")", probe_22, "c")),
      R"(6:10: "203.0.113.10:20-9000/tcp" overlaps "203.0.113.10:22/tcp" of service a (line 2) at port 22: give each port to one listener
10:10: "203.0.113.10:*/tcp" overlaps "203.0.113.10:20-9000/tcp" of service b (line 6) at ports 20 to 9000: give each port to one listener
10:10: "203.0.113.10:*/tcp" overlaps "203.0.113.10:22/tcp" of service a (line 2) at port 22: give each port to one listener
)");
  EXPECT_EQ(errors_in(service_text(R"(["203.0.113.10:*/tcp", "203.0.113.10:1-65535/tcp"])", R"("10.0.0.11")")),
            R"(2:33: "203.0.113.10:1-65535/tcp" is already a listener of service a (line 2): remove one of them
)");
  EXPECT_EQ(
      errors_in(service_text(R"(["203.0.113.10:1-2000/tcp", "203.0.113.10:2001-65535/tcp", "203.0.113.11:*/tcp"])", R"("10.0.0.11")")), "");
}

TEST(ConfigRanges, AServerWhosePortsCannotBeMappedGivesAnErrorWithARemedy) {
  EXPECT_EQ(
      errors_in(service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.11:8443")")),
      R"(3:11: the primary of service a has port 8443, but the listener "203.0.113.10:*/tcp" in line 2 is a range, and flows of a range keep their port: remove ":8443", or give the range its own service
)");
  EXPECT_EQ(
      errors_in(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11:6000-6050")", "")),
      R"(3:11: the primary of service a has 51 ports, but the listener "203.0.113.10:5000-5100/tcp" in line 2 has 101: write a range of the same length, or remove ":6000-6050" so that flows keep their port
)");
  EXPECT_EQ(
      errors_in(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11:65500")", "")),
      R"(3:11: the primary of service a has port 65500, but the listener "203.0.113.10:5000-5100/tcp" in line 2 is a range, and flows of a range keep their port: remove ":65500", or give the range its own service
)");
}

TEST(ConfigRanges, AServerBehindItsOwnRangeIsALoop) {
  EXPECT_EQ(
      errors_in(service_text(R"("10.0.0.11:2000-9000/tcp")", R"("10.0.0.11")")),
      R"(3:11: 10.0.0.11:2000-9000/tcp, the primary of service a, is a listener of service a (line 2): its traffic would come back to this gateway; write the server's own address
)");
  EXPECT_EQ(
      errors_in(service_text(R"("203.0.113.10:443/tcp")", R"("203.0.113.11:443")") +
                service_text(R"("203.0.113.11:*/tcp")", R"("10.0.0.12")", probe_22, "b")),
      R"(3:11: 203.0.113.11:443/tcp, the primary of service a, is a listener of service b (line 6): its traffic would come back to this gateway; write the server's own address
)");
}

TEST(ConfigRanges, ServersAreTheSameIfTheyServeTheSamePort) {
  const auto with_backup = [](const char* backup) {
    return errors_in(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11")", std::string{"backup = "} + backup + "\n"));
  };
  EXPECT_EQ(with_backup(R"("10.0.0.11:6000-6100")"), "") << "no VIP has the same port on both";
  EXPECT_NE(with_backup(R"("10.0.0.11:5000-5100")"), "");
}

TEST(ConfigRanges, OverlapsOfThousandsOfListenersAreFoundQuickly) {
  std::string listen = "[";
  for (int number = 0; number < 3'000; ++number) listen += fmt::format("\"203.0.{}.{}:*/tcp\", ", number / 250, number % 250 + 1);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(errors_in(service_text(listen + "]", R"("10.0.0.11")")), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{5}) << "port by port this takes minutes";
}

} // namespace
} // namespace hanat
