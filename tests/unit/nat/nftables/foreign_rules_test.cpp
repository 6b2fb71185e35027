// Tables of iptables-legacy by the kernel's modules. Not here: reading rules (namespace tests).
#include "nat/nftables/foreign_rules.hpp"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::nat {
namespace {

TEST(LegacyTables, AreThoseWhoseModuleIsInUse) {
  std::istringstream modules{"iptable_filter 16384 1 - Live 0x0000000000000000\n"
                             "iptable_nat 16384 0 - Live 0x0000000000000000\n"
                             "ip6table_raw 16384 2 - Live 0x0000000000000000\n"
                             "ip_tables 32768 2 iptable_filter,iptable_nat, Live 0x0000000000000000\n"
                             "odd\n"};
  EXPECT_EQ(legacy_tables_in(modules), (std::map<std::string, bool>{{"ip filter", true}, {"ip nat", false}, {"ip6 raw", true}}));
}

} // namespace
} // namespace hanat::nat
