// The gateway of the lifecycle tests: a primary and a backup that answer with their names.
// Not here: the tests (lifecycle_test, lifecycle_table_test).
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {

class Lifecycle : public testing::Test {
protected:
  static Endpoint vip(std::uint16_t port = 443) { return Lab::vip(port); }
  std::string table() { return lab.must(Host::gateway, "nft -s list table inet hanat"); } // without what time changes

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

} // namespace hanat::test
