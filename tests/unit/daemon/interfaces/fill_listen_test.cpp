// From the addresses of interfaces to what services listen on.
#include "daemon/interfaces/fill_listen.hpp"

#include <map>
#include <memory>
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/probe_targets.hpp"

namespace hanat::interfaces {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FillListen : public testing::Test {
protected:
  static std::string service(const std::string& name, const std::string& listen, const std::string& primary = "\"10.0.0.11:8443\"") {
    return "[service." + name + "]\nlisten = [" + listen + "]\nprimary = " + primary + "\n";
  }
  void fill(const std::string& text) {
    auto config = parse_config(text, "hanat.toml");
    ASSERT_TRUE(std::holds_alternative<Config>(config)) << to_text(std::get<std::vector<ConfigError>>(config).front());
    filled = fill_listen(std::make_shared<const Config>(std::get<Config>(std::move(config))), [this](const std::string& name) {
      const auto found = interfaces.find(name);
      return found == interfaces.end() ? InterfaceAddresses{} : found->second;
    });
  }
  void has(const std::string& name, const std::vector<const char*>& addresses) {
    InterfaceAddresses& there = interfaces[name] = {.exists = true, .up = true, .addresses = {}, .others = {}};
    for (const char* address : addresses) there.addresses.push_back(Address::parse(address).value());
  }
  std::vector<std::string> listens(std::size_t place = 0) const {
    std::vector<std::string> texts;
    for (const Vip& vip : filled.config->services.at(place)->listen) texts.push_back(to_text(vip));
    return texts;
  }
  const ListenState& state(const std::string& name, std::size_t entry = 0) const { return filled.services.at(name).at(entry); }

  std::map<std::string, InterfaceAddresses> interfaces;
  FilledListen filled;
};

TEST_F(FillListen, AServiceListensOnTheAddressesOfItsServersFamilies) {
  has("eth0", {"203.0.113.10", "203.0.113.11", "2001:db8::10"});
  fill(service("web", R"("eth0:443/tcp", "eth0:53/udp")"));
  EXPECT_THAT(listens(), ElementsAre("203.0.113.10:443/tcp", "203.0.113.11:443/tcp", "203.0.113.10:53/udp", "203.0.113.11:53/udp"));
  EXPECT_THAT(state("web").addresses, testing::SizeIs(2));
  EXPECT_THAT(state("web").absent, IsEmpty());
  const std::string both = R"(["10.0.0.11:8443", "[fd00::11]:8443"])";
  fill(service("web", R"("eth0:443/tcp")", both));
  EXPECT_THAT(listens(), ElementsAre("203.0.113.10:443/tcp", "203.0.113.11:443/tcp", "[2001:db8::10]:443/tcp"));
  fill(service("web", R"("ipv6@eth0:443/tcp")", both));
  EXPECT_THAT(listens(), ElementsAre("[2001:db8::10]:443/tcp"));
}

TEST_F(FillListen, WhereThereIsNoAddressTheCauseIsTold) {
  const std::string text = service("web", R"("ppp0:443/tcp")");
  fill(text);
  EXPECT_THAT(listens(), IsEmpty());
  EXPECT_THAT(state("web").absent, ElementsAre("there is no interface ppp0"));
  has("ppp0", {"2001:db8::10"});
  fill(text);
  EXPECT_THAT(state("web").absent, ElementsAre("ppp0 has no IPv4 address"));
  interfaces["ppp0"].up = false;
  fill(text);
  EXPECT_THAT(state("web").absent, ElementsAre("ppp0 is down and has no IPv4 address"));
  interfaces["ppp0"].others = {{.address = Address::parse("169.254.1.1").value(), .why = "is link-local"}};
  fill(text);
  EXPECT_THAT(state("web").absent, ElementsAre("ppp0 has no IPv4 address that clients can use: 169.254.1.1 is link-local"));
  has("ppp0", {"203.0.113.10"});
  fill(service("web", R"("ppp0:443/tcp")", R"(["10.0.0.11:8443", "[fd00::11]:8443"])"));
  EXPECT_THAT(listens(), ElementsAre("203.0.113.10:443/tcp"));
  EXPECT_THAT(state("web").absent, ElementsAre("ppp0 has no IPv6 address"));
}

TEST_F(FillListen, ProbesDoNotDependOnAddresses) {
  const std::string text = service("web", R"("ppp0:443/tcp", "203.0.113.10:80/tcp")", "\"10.0.0.11\"");
  fill(text);
  const ServiceConfig& without = filled.config->services[0];
  const auto before = probes_for(without, without.servers[0]);
  ASSERT_EQ(before.size(), 1U);
  EXPECT_EQ(before[0].server.port, 443) << "of the first listener";
  has("ppp0", {"203.0.113.12"});
  fill(text);
  EXPECT_EQ(probes_for(filled.config->services[0], filled.config->services[0]->servers[0]), before);
}

TEST_F(FillListen, RangesAreMappedAtEachAddress) {
  has("eth0", {"203.0.113.10", "203.0.113.11"});
  fill(service("sip", R"("eth0:5000-5002/udp")", "{ address = \"10.0.0.11:6000-6002\", probe = { type = \"icmp\" } }"));
  const ServiceConfig& sip = filled.config->services[0];
  ASSERT_EQ(sip.listen.size(), 6U);
  for (const Vip& vip : sip.listen) EXPECT_EQ(endpoint_for(sip.servers[0], vip).value().port, vip.port + 1000) << to_text(vip);
  fill(service("any", R"("eth0:*/tcp")", "{ address = \"10.0.0.11\", probe = { type = \"icmp\" } }"));
  EXPECT_THAT(listens(), ElementsAre("203.0.113.10:*/tcp", "203.0.113.11:*/tcp"));
}

TEST_F(FillListen, WhatAnotherServiceListensOnStaysWithThatAndBothAreNamed) {
  has("eth0", {"203.0.113.10", "203.0.113.11"});
  fill(service("web", R"("eth0:443/tcp")") + service("mail", R"("203.0.113.10:443/tcp")", "\"10.0.0.12\""));
  EXPECT_THAT(listens(0), ElementsAre("203.0.113.11:443/tcp"));
  EXPECT_THAT(listens(1), ElementsAre("203.0.113.10:443/tcp"));
  EXPECT_THAT(state("web").overlaps, ElementsAre("203.0.113.10:443/tcp is a listener of service mail"));
  has("eth1", {"203.0.113.11"}); // two interfaces with one address
  fill(service("web", R"("eth0:443/tcp")") + service("mail", R"("eth1:443/tcp")", "\"10.0.0.12\""));
  EXPECT_THAT(listens(1), IsEmpty());
  EXPECT_THAT(state("mail").overlaps, ElementsAre("203.0.113.11:443/tcp is a listener of service web"));
  fill(service("web", R"("203.0.113.10:443/tcp", "ipv4@eth0:443/tcp")"));
  EXPECT_THAT(listens(), ElementsAre("203.0.113.10:443/tcp", "203.0.113.11:443/tcp")) << "its own";
  EXPECT_THAT(state("web").overlaps, IsEmpty());
}

TEST_F(FillListen, OfARangeOnlyTheTakenPortIsLeftOut) {
  has("eth0", {"203.0.113.10"});
  fill(service("any", R"("eth0:2000-9000/tcp")", "{ address = \"10.0.0.11\", probe = { type = \"icmp\" } }") +
       service("mail", R"("203.0.113.10:2500/tcp")", "\"10.0.0.12\""));
  EXPECT_THAT(listens(0), ElementsAre("203.0.113.10:2000-2499/tcp", "203.0.113.10:2501-9000/tcp"));
}

TEST_F(FillListen, AnAddressOfAServerIsNotListenedOn) {
  has("eth0", {"10.0.0.11"});
  fill(service("web", R"("eth0:8443/tcp")"));
  EXPECT_THAT(listens(), IsEmpty());
  EXPECT_THAT(state("web").overlaps, ElementsAre(HasSubstr("10.0.0.11:8443/tcp is the primary of service web")));
}

TEST_F(FillListen, AnInterfaceWithThousandsOfAddressesDoesNotMakeAHugeTable) {
  InterfaceAddresses& there = interfaces["eth0"] = {.exists = true, .up = true, .addresses = {}, .others = {}};
  for (int last = 1; last <= 200; ++last) there.addresses.push_back(Address::parse("203.0.113." + std::to_string(last)).value());
  fill(service("web", R"("eth0:443/tcp")"));
  EXPECT_EQ(listens().size(), addresses_at_most);
  EXPECT_THAT(state("web").absent, ElementsAre("eth0 has 200 IPv4 addresses: only the first 64 are listened on"));
}

TEST_F(FillListen, WithoutInterfacesNothingIsCopied) {
  const auto config = std::make_shared<const Config>(std::get<Config>(parse_config(service("web", R"("203.0.113.10:443/tcp")"), "a")));
  EXPECT_EQ(fill_listen(config, [](const std::string&) { return InterfaceAddresses{}; }).config, config);
}

} // namespace
} // namespace hanat::interfaces
