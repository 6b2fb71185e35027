// Servers get the addresses of their names.
#include "daemon/names/fill_in.hpp"

#include <map>
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/probe_targets.hpp"

namespace hanat::naming {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Address parsed(const char* text) { return Address::parse(text).value(); }

class FillIn : public testing::Test {
protected:
  Config filled(const std::string& servers, const std::string& listen = R"("203.0.113.10:443/tcp")") {
    auto config = std::get<Config>(parse_config("[service.web]\nlisten = [" + listen + "]\n" + servers, "hanat.toml"));
    return fill_in(std::move(config), [this](const NameQuery& query) -> const NameRecord* {
      const auto found = records.find(query);
      return found == records.end() ? nullptr : &found->second;
    });
  }
  void is(const char* name, const char* address) {
    const Address at = parsed(address);
    records[{.name = name, .family = at.family()}] = {.address = at, .known = true};
  }
  void has_none(const char* name, Family family = Family::ipv4) { records[{.name = name, .family = family}] = {.known = true}; }

  std::map<NameQuery, NameRecord> records;
};

constexpr const char* two_names = "primary = \"db1.lan:5432\"\nbackup = \"db2.lan\"\n";

TEST_F(FillIn, EachServerHasTheAddressOfItsNameAndThePortOfItsOwn) {
  is("db1.lan", "198.18.0.1");
  is("db2.lan", "198.18.0.2");
  const auto servers = filled(two_names).services[0]->servers;
  EXPECT_THAT(servers[0].addresses, ElementsAre(Endpoint{parsed("198.18.0.1"), 5432}));
  EXPECT_THAT(servers[1].addresses, ElementsAre(Endpoint{parsed("198.18.0.2"), 0}));
  EXPECT_EQ(servers[0].host->lookup, Lookup::resolved);
}

TEST_F(FillIn, ProbesHaveTheNameOfTheServerThatTheyGoTo) {
  is("db1.lan.", "198.18.0.1");
  const auto name_in = [this](const std::string& primary, const std::string& more) {
    const auto config = filled("primary = \"" + primary + "\"\nprobe = { type = \"https\"" + more + " }\n");
    return probes_for(config.services[0], config.services[0]->servers[0]).at(0).name;
  };
  EXPECT_EQ(name_in("DB1.lan.:5432", ""), "db1.lan"); // without the dot that ends a complete name
  EXPECT_EQ(name_in("DB1.lan.:5432", ", address = \"198.18.0.9\""), "");
  EXPECT_EQ(name_in("198.18.0.1:5432", ""), "");
}

TEST_F(FillIn, ANameThatNobodyKnowsIsPendingAndThenFailed) {
  has_none("db2.lan");
  const auto servers = filled(two_names).services[0]->servers;
  EXPECT_EQ(servers[0].host->lookup, Lookup::pending);
  EXPECT_EQ(servers[1].host->lookup, Lookup::failed);
  EXPECT_THAT(servers[1].addresses, IsEmpty());
}

TEST_F(FillIn, NamesAreAskedForTheFamiliesOfTheListeners) {
  const std::string both = R"("203.0.113.10:443/tcp", "[2001:db8::10]:443/tcp")";
  EXPECT_EQ(queries_of(filled(two_names)).size(), 2U);
  EXPECT_EQ(queries_of(filled(two_names, both)).size(), 4U);
  is("db1.lan", "198.18.0.1");
  has_none("db1.lan", Family::ipv6);
  EXPECT_EQ(filled(two_names, both).services[0]->servers[0].host->lookup, Lookup::resolved) << "one of them is better than none";
  is("db1.lan", "fd00::1");
  EXPECT_THAT(filled(two_names, both).services[0]->servers[0].addresses,
              ElementsAre(Endpoint{parsed("198.18.0.1"), 5432}, Endpoint{parsed("fd00::1"), 5432}));
}

TEST_F(FillIn, TwoNamesOfOneMachineAreOneServer) {
  is("db1.lan", "198.18.0.1");
  is("db2.lan", "198.18.0.1");
  EXPECT_EQ(filled(two_names).services[0]->servers[1].host->lookup, Lookup::resolved) << "at another port";
  const auto servers = filled("primary = \"db1.lan\"\nbackup = \"db2.lan\"\n").services[0]->servers;
  EXPECT_EQ(servers[0].host->lookup, Lookup::resolved);
  EXPECT_EQ(servers[1].host->lookup, Lookup::failed);
  const auto mixed = filled("primary = \"db1.lan\"\nbackup = \"198.18.0.1\"\n").services[0]->servers;
  EXPECT_EQ(mixed[0].host->lookup, Lookup::failed) << "an address that is configured stays";
  EXPECT_THAT(mixed[1].addresses, ElementsAre(Endpoint{parsed("198.18.0.1"), 0}));
}

TEST_F(FillIn, AListenerIsNoServer) {
  is("db1.lan", "203.0.113.10");
  is("db2.lan", "198.18.0.2");
  EXPECT_EQ(filled("primary = \"db1.lan\"\nbackup = \"db2.lan\"\n").services[0]->servers[0].host->lookup, Lookup::failed);
  EXPECT_EQ(filled(two_names).services[0]->servers[0].host->lookup, Lookup::resolved) << "at another port";
}

TEST_F(FillIn, WhatHasNoNameStaysAsItIs) {
  const Config config = filled("primary = \"198.18.0.1\"\nbackup = \"198.18.0.2\"\n");
  EXPECT_FALSE(has_names(config));
  EXPECT_THAT(queries_of(config), IsEmpty());
}

} // namespace
} // namespace hanat::naming
