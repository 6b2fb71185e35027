// Listeners of many ports: ranges that become exact endpoints, ranges that stay one, every port, and ranges that are mapped to others; and
// what cannot be.
#include <chrono>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/config.hpp"
#include "tests/unit/config_rows.hpp"

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

constexpr const char* asks_22 = "probe = { type = \"tcp\", port = 22 }\n";

std::string service_text(const std::string& listen, const std::string& primary, const std::string& rest = asks_22,
                         const std::string& name = "a") {
  return "[service." + name + "]\nlisten = " + listen + "\nprimary = " + primary + "\n" + rest;
}
Service service_in(const std::string& text) {
  const auto result = parse_config(text, "test");
  if (const auto* errors = std::get_if<std::vector<ConfigError>>(&result)) throw std::invalid_argument(to_text(errors->front()));
  return std::get<Config>(result).services.at(0);
}
std::string said_of(const std::string& text) {
  const std::string errors = test::errors_of(text);
  return errors.empty() ? errors : errors + "\n";
}

TEST(ConfigRanges, MoreThanAThousandPortsStayOneEndpoint) {
  const Service service = service_in(service_text(R"(["203.0.113.10:5000-6023/tcp", "203.0.113.10:7000-8024/udp"])", R"("10.0.0.11")"));
  ASSERT_EQ(service.listen.size(), 1'025U);
  EXPECT_EQ(service.listen.back(), listener_of("203.0.113.10", 7000, 8024, Protocol::udp));
  EXPECT_EQ(endpoint_for(service.servers[0], service.listen.back()), (Endpoint{address_of("10.0.0.11"), 0})) << "each flow keeps its port";
}

TEST(ConfigRanges, AStarIsEveryPort) {
  const Service service = service_in(service_text(R"(["203.0.113.10:*/tcp", "[2001:db8::10]:*/sctp"])", R"(["10.0.0.11", "fd00::11"])"));
  EXPECT_EQ(service.listen, (std::vector{listener_of("203.0.113.10", 1, 65'535), listener_of("2001:db8::10", 1, 65'535, Protocol::sctp)}));
  EXPECT_EQ(service.listen_text.front(), "203.0.113.10:*/tcp");
  EXPECT_EQ(to_text(service.listen.front()), "203.0.113.10:*/tcp");
  EXPECT_EQ(to_text(service.listen.back()), "[2001:db8::10]:*/sctp");
  EXPECT_EQ(to_text(listener_of("2001:db8::10", 5, 9)), "[2001:db8::10]:5-9/tcp");
}

TEST(ConfigRanges, ARangeIsMappedToAnotherOfItsLengthPortByPort) {
  const Service service =
      service_in(service_text(R"(["203.0.113.10:5000-5100/udp", "203.0.113.11:7000-7100/tcp", "[2001:db8::10]:5000-5100/udp"])",
                              R"(["10.0.0.11:6000-6100", "fd00::11"])"));
  ASSERT_EQ(service.listen.size(), 303U);
  const Server& server = service.servers[0];
  const auto at = [&](const char* where, std::uint16_t port, Protocol protocol) {
    return endpoint_for(server, {.address = address_of(where), .protocol = protocol, .port = port});
  };
  EXPECT_EQ(at("203.0.113.10", 5000, Protocol::udp), (Endpoint{address_of("10.0.0.11"), 6000}));
  EXPECT_EQ(at("203.0.113.10", 5100, Protocol::udp), (Endpoint{address_of("10.0.0.11"), 6100}));
  EXPECT_EQ(at("203.0.113.11", 7042, Protocol::tcp), (Endpoint{address_of("10.0.0.11"), 6042}));
  EXPECT_EQ(at("2001:db8::10", 5042, Protocol::udp), (Endpoint{address_of("fd00::11"), 5042})) << "of no range: the listener's own";
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{6000, 6001, 6100})
    EXPECT_TRUE(serves_at(server, {address_of("10.0.0.11"), port})) << port;
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{5999, 6101, 5000})
    EXPECT_FALSE(serves_at(server, {address_of("10.0.0.11"), port})) << port;
}

TEST(ConfigRanges, AProbeIsToldWhichPortWhereNoListenerSaysOne) {
  const auto asked = [](const std::string& text) {
    const Service service = service_in(text);
    return questions_for(service, service.servers[0]).at(0).server.port;
  };
  EXPECT_EQ(asked(service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.11")")), 22);
  EXPECT_EQ(asked(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11")", "")), 5000) << "the first of exact ones, as ever";
  EXPECT_EQ(asked(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11:6000-6100")", "")), 6000);
  EXPECT_EQ(asked(service_text(R"(["203.0.113.10:*/tcp", "203.0.113.11:443/tcp"])", R"("10.0.0.11")", "")), 443);
  EXPECT_EQ(asked(service_text(R"("203.0.113.10:*/udp")", R"("10.0.0.11")", "probe = { type = \"dns\" }\n")), 53);
  EXPECT_EQ(asked(service_text(R"("203.0.113.10:*/udp")", R"("10.0.0.11")", "probe = { type = \"icmp\" }\n")), 0);
  EXPECT_EQ(
      said_of(service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.11")", "")),
      R"(1:1: the listener "203.0.113.10:*/tcp" of service a has too many ports for a probe to know which one to ask: write a port that the server answers on, as in probe = { type = "tcp", port = 22 }
)");
  EXPECT_EQ(
      said_of(service_text(R"("203.0.113.10:1000-3000/udp")", R"("10.0.0.11")", "probe = { type = \"udp\", send = \"x\" }\n")),
      R"(4:9: the listener "203.0.113.10:1000-3000/udp" of service a has too many ports for a probe to know which one to ask: write a port that the server answers on, as in probe = { type = "udp", port = 514, send = "..." }
)");
}

TEST(ConfigRanges, PortsThatTwoListenersClaimAreToldWithBothPlaces) {
  EXPECT_EQ(said_of(service_text(R"(["203.0.113.10:*/tcp", "203.0.113.10:22/tcp", "203.0.113.10:22/udp"])", R"("10.0.0.11")")),
            R"(2:33: "203.0.113.10:22/tcp" overlaps "203.0.113.10:*/tcp" of service a (line 2) at port 22: give each port to one listener
)");
  EXPECT_EQ(
      said_of(service_text(R"("203.0.113.10:22/tcp")", R"("10.0.0.11:22")") +
              service_text(R"("203.0.113.10:20-9000/tcp")", R"("10.0.0.12")", asks_22, "b") +
              service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.13")", asks_22, "c")),
      R"(6:10: "203.0.113.10:20-9000/tcp" overlaps "203.0.113.10:22/tcp" of service a (line 2) at port 22: give each port to one listener
10:10: "203.0.113.10:*/tcp" overlaps "203.0.113.10:20-9000/tcp" of service b (line 6) at ports 20 to 9000: give each port to one listener
10:10: "203.0.113.10:*/tcp" overlaps "203.0.113.10:22/tcp" of service a (line 2) at port 22: give each port to one listener
)");
  EXPECT_EQ(said_of(service_text(R"(["203.0.113.10:*/tcp", "203.0.113.10:1-65535/tcp"])", R"("10.0.0.11")")),
            R"(2:33: "203.0.113.10:1-65535/tcp" is listened on twice, first by service a (line 2): remove one of them
)");
  EXPECT_EQ(said_of(service_text(R"(["203.0.113.10:1-2000/tcp", "203.0.113.10:2001-65535/tcp", "203.0.113.11:*/tcp"])", R"("10.0.0.11")")),
            "");
}

TEST(ConfigRanges, AServerWhosePortsCannotBeMappedIsToldWhatCan) {
  EXPECT_EQ(
      said_of(service_text(R"("203.0.113.10:*/tcp")", R"("10.0.0.11:8443")")),
      R"(3:11: the primary of service a has port 8443, but the listener "203.0.113.10:*/tcp" in line 2 is a range, whose flows keep their port: leave ":8443" out, or give the range a service of its own
)");
  EXPECT_EQ(
      said_of(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11:6000-6050")", "")),
      R"(3:11: the primary of service a has 51 ports, but the listener "203.0.113.10:5000-5100/tcp" in line 2 has 101: write ranges of the same length, which are mapped port by port, or leave ":6000-6050" out, and flows keep their port
)");
  EXPECT_EQ(
      said_of(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11:65500")", "")),
      R"(3:11: the primary of service a has port 65500, but the listener "203.0.113.10:5000-5100/tcp" in line 2 is a range, whose flows keep their port: leave ":65500" out, or give the range a service of its own
)");
}

TEST(ConfigRanges, AServerBehindItsOwnRangeIsALoop) {
  EXPECT_EQ(
      said_of(service_text(R"("10.0.0.11:2000-9000/tcp")", R"("10.0.0.11")")),
      R"(3:11: 10.0.0.11:2000-9000/tcp, which is the primary of service a, is a listener of service a (line 2): its traffic would come back to this gateway; write the server's own address
)");
  EXPECT_EQ(
      said_of(service_text(R"("203.0.113.10:443/tcp")", R"("203.0.113.11:443")") +
              service_text(R"("203.0.113.11:*/tcp")", R"("10.0.0.12")", asks_22, "b")),
      R"(3:11: 203.0.113.11:443/tcp, which is the primary of service a, is a listener of service b (line 6): its traffic would come back to this gateway; write the server's own address
)");
}

TEST(ConfigRanges, TwinsAreFoundByThePortsThatTheyServe) {
  const auto with_backup = [](const char* backup) {
    return said_of(service_text(R"("203.0.113.10:5000-5100/tcp")", R"("10.0.0.11")", std::string{"backup = "} + backup + "\n"));
  };
  EXPECT_EQ(with_backup(R"("10.0.0.11:6000-6100")"), "") << "no flow is on the same port of both";
  EXPECT_NE(with_backup(R"("10.0.0.11:5000-5100")"), "");
}

TEST(ConfigRanges, OverlapsOfThousandsAreLookedForInNoTime) {
  std::string listen = "[";
  for (int number = 0; number < 3'000; ++number) listen += fmt::format("\"203.0.{}.{}:*/tcp\", ", number / 250, number % 250 + 1);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(said_of(service_text(listen + "]", R"("10.0.0.11")")), "");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{5}) << "port by port it takes minutes";
}

} // namespace
} // namespace hanat
