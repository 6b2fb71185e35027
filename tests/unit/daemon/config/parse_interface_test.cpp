// Listeners that are interfaces: what is one, and the errors of those that are none.
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/parse_values.hpp"
#include "tests/unit/daemon/config/rows.hpp"

namespace hanat::config {
namespace {

using test::expect_errors;
using test::Row;

// clang-format off: one row is one invalid text and its errors
constexpr Row interface_rows[] = {
    {R"("eth0")", R"(2:10: "eth0" has no protocol: write it like "203.0.113.10:443/tcp")"},
    {R"("eth0:443")", R"(2:10: "eth0:443" has no protocol: write it like "203.0.113.10:443/tcp")"},
    {R"("eth0/tcp")", R"(2:10: "eth0/tcp" has no port: write it like "203.0.113.10:443/tcp")"},
    {R"("eth0:0/tcp")", R"(2:10: "eth0:0/tcp" has "0" as its port: ports are whole numbers from 1 to 65535, as in "203.0.113.10:443/tcp")"},
    {R"("eth0:1:443/tcp")",
     R"(2:10: "eth0:1:443/tcp" has "eth0:1", the label of an address, in place of an interface: write "eth0:443/tcp" for all addresses of eth0, or the one address, as in "203.0.113.10:443/tcp")"},
    {R"("eth0@if5:443/tcp")",
     R"(2:10: "eth0@if5:443/tcp" has "eth0@if5" as its interface, as ip shows it: its name is what stands before the "@", so write "eth0")"},
    {R"("ip4@eth0:443/tcp")",
     R"(2:10: "ip4@eth0:443/tcp" has "ip4@" before its interface: write "ipv4@" or "ipv6@" for one family, or nothing, as in "eth0:443/tcp")"},
    {R"("ipv4@203.0.113.10:443/tcp")",
     R"(2:10: "ipv4@203.0.113.10:443/tcp" has "ipv4@" before an address, which says itself of which family it is: remove it)"},
    {R"("ipv4@:443/tcp")",
     R"(2:10: "ipv4@:443/tcp" has "" as its interface: write the name of one, of at most 15 characters, as in "ipv4@eth0:443/tcp")"},
    {R"("ipv6@averylonginterface:443/tcp")",
     R"(2:10: "ipv6@averylonginterface:443/tcp" has "averylonginterface" as its interface: write the name of one, of at most 15 characters, as in "ipv6@eth0:443/tcp")"},
    {R"("averylonginterface:443/tcp")",
     R"(2:10: "averylonginterface:443/tcp" is a name, but only servers have names: a listener needs an address, as in "203.0.113.10:443/tcp", or an interface, as in "eth0:443/tcp")"},
    {R"("db1.lan:443/tcp")",
     R"(2:10: "db1.lan:443/tcp" is a name, but only servers have names: a listener needs an address, as in "203.0.113.10:443/tcp", or an interface, as in "eth0:443/tcp")"},
    {R"("eth+:443/tcp")", R"(2:10: "eth+:443/tcp" is not an address: write it like "203.0.113.10:443/tcp")"},
    {R"("*:443/tcp")",
     R"(2:10: "*:443/tcp" has "*" as its address: list each address, as in "203.0.113.10:443/tcp", or name an interface, as in "eth0:443/tcp")"},
    {R"(["eth0:443/tcp", "eth0:443/tcp"])", R"(2:27: "eth0:443/tcp" is already a listener of service web (line 2): remove one of them)"},
    {R"(["eth0:440-450/tcp", "ipv4@eth0:443/tcp"])",
     R"(2:31: "ipv4@eth0:443/tcp" overlaps "eth0:440-450/tcp" of service web (line 2) at port 443: give each port to one listener)"
     "\n"
     R"(3:11: the primary of service web has port 8443, but the listener "eth0:440-450/tcp" in line 2 is a range, and flows of a range keep their port: remove ":8443", write a range of the same length, as in "10.0.0.11:8443-8453", or give the range its own service)"},
    {R"("ipv6@eth0:443/tcp")",
     R"(3:11: the primary of service web has no IPv6 address for the listener "ipv6@eth0:443/tcp" in line 2: write one address per family, as in ["10.0.0.11:8443", "[fd00::11]:8443"], or remove the listener)"},
};
constexpr Row server_rows[] = {
    {R"(["10.0.0.11:8443", "[fd00::11]:8443"])",
     R"(4:10: the backup of service web has no IPv6 address for the listener "eth0:443/tcp" in line 2: write one address per family, as in ["10.0.0.11:8443", "[fd00::11]:8443"], or listen on one family, as in "ipv4@eth0:443/tcp")"},
};
constexpr Row name_rows[] = {
    {R"("eth0:443/tcp")",
     R"(2:10: "eth0:443/tcp" does not say whether IPv4 or IPv6 is meant, and the servers of service web are names, which do not say it either: write "ipv4@eth0:443/tcp", "ipv6@eth0:443/tcp", or both)"},
};
// clang-format on

TEST(ParseInterface, AnInvalidOneGivesAnErrorWithARemedy) {
  expect_errors("[service.web]\nlisten = %\nprimary = \"10.0.0.11:8443\"\n", interface_rows);
  expect_errors("[service.web]\nlisten = \"eth0:443/tcp\"\nprimary = %\nbackup = \"10.0.0.12:8443\"\n", server_rows);
  expect_errors("[service.web]\nlisten = %\nprimary = \"db1.lan:8443\"\nbackup = \"db2.lan:8443\"\n", name_rows);
}

TEST(ParseInterface, NamesAsLinuxHasThemAreTaken) {
  for (const char* name : {"eth0", "ppp0", "br-lan", "eth0.100", "bond0.100.200", "wg_home", "enp0s31f6", "abcdefghijklmno"}) {
    const auto parsed = parse_listener(std::string{name} + ":5000-5100/udp");
    ASSERT_TRUE(std::holds_alternative<Listener>(parsed)) << name << ": " << std::get<Error>(parsed).text;
    EXPECT_EQ(std::get<Listener>(parsed).interface.value().name, name);
    EXPECT_EQ(std::get<Listener>(parsed).interface->family, std::nullopt);
    EXPECT_EQ(std::get<Listener>(parsed).last, 5100);
  }
  const auto dotted = parse_listener("ipv6@home.lan:*/tcp"); // whoever has such a name says so
  EXPECT_EQ(std::get<Listener>(dotted).interface.value().name, "home.lan");
  EXPECT_EQ(std::get<Listener>(dotted).interface->family, Family::ipv6);
}

TEST(ParseInterface, AddressesAreNeverTakenForOne) {
  for (const char* text : {"203.0.113.10:443/tcp", "[2001:db8::10]:443/tcp", "[fd00::1]:1-5/udp"}) {
    const auto parsed = parse_listener(text);
    EXPECT_FALSE(std::get<Listener>(parsed).interface) << text;
  }
  EXPECT_TRUE(std::holds_alternative<Error>(parse_listener("fd00::1:443/tcp"))) << "it needs brackets";
  EXPECT_TRUE(std::holds_alternative<Error>(parse_listener("10.0.0:443/tcp")));
}

TEST(ParseInterface, SharedPortsOfTwoFamiliesAreNoOverlap) {
  const auto config = parse_config("[service.a]\nlisten = \"ipv4@eth0:443/tcp\"\nprimary = \"10.0.0.11\"\n"
                                   "[service.b]\nlisten = \"ipv6@eth0:443/tcp\"\nprimary = \"[fd00::11]\"\n"
                                   "[service.c]\nlisten = \"eth1:443/tcp\"\nprimary = \"10.0.0.12\"\n",
                                   "hanat.toml");
  ASSERT_TRUE(std::holds_alternative<Config>(config)) << to_text(std::get<std::vector<ConfigError>>(config).front());
  EXPECT_EQ(std::get<Config>(config).services[1]->interfaces[0].endpoints[0].address.family(), Family::ipv6);
}

} // namespace
} // namespace hanat::config
