// The table in the real kernel: load, read back, change, adopt, repair, ownership.
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nat/kernel.hpp"
#include "tests/netns/isolated.hpp"

namespace hanat {
namespace {

using nat::Kernel;
using nat::Rules;
using testing::HasSubstr;

/// What a program prints, run inside the calling thread's namespace.
std::string output_of(const std::string& command) {
  std::string text;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe{popen((command + " 2>&1").c_str(), "r"), pclose};
  std::array<char, 4096> buffer{};
  while (fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) text += buffer.data();
  return text;
}

Address address(const char* text) { return Address::parse(text).value(); }
Vip vip(const char* where, std::uint16_t port, Protocol protocol = Protocol::tcp) { return {address(where), protocol, port}; }
Endpoint endpoint(const char* where, std::uint16_t port) { return {address(where), port}; }

Rules one_service() {
  Rules rules;
  for (const auto& [listen, server] :
       {std::pair{vip("203.0.113.10", 443), endpoint("198.18.1.2", 8443)}, std::pair{vip("2001:db8::10", 443), endpoint("fd00:1::2", 8443)},
        std::pair{vip("203.0.113.10", 53, Protocol::udp), endpoint("198.18.1.2", 53)}}) {
    rules.known[listen] = "web";
    rules.target[listen] = {server, "web primary"};
  }
  return rules;
}

Rules everything() {
  Rules rules = one_service();
  const Vip four = vip("203.0.113.10", 443), six = vip("2001:db8::10", 443);
  rules.refused[vip("203.0.113.11", 80)] = {nat::Refusal::reject, "shop"};
  rules.refused[vip("203.0.113.11", 81)] = {nat::Refusal::drop, "shop"};
  rules.stale[{four, endpoint("198.18.2.2", 8443)}] = "web backup";
  rules.stale[{six, endpoint("fd00:2::2", 8443)}] = "web backup";
  rules.moved[four] = "web";
  rules.source[{four, endpoint("198.18.1.2", 8443)}] = {{nat::SnatKind::masquerade, {}}, "web primary"};
  rules.source[{six, endpoint("fd00:1::2", 8443)}] = {{nat::SnatKind::masquerade, {}}, "web primary"};
  rules.source[{four, endpoint("198.18.2.2", 8443)}] = {{nat::SnatKind::address, address("198.18.2.1")}, "web backup"};
  rules.source[{six, endpoint("fd00:2::2", 8443)}] = {{nat::SnatKind::address, address("fd00:2::1")}, "web backup"};
  return rules;
}

TEST(KernelTable, WhatIsLoadedReadsBackEqual) {
  test::isolated([] {
    Kernel kernel{"hanat"};
    EXPECT_FALSE(kernel.read());
    kernel.load(everything());
    const auto loaded = kernel.read();
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->in_order);
    EXPECT_EQ(loaded->rules, everything());
    std::puts(output_of("nft list table inet hanat").c_str());
  });
}

} // namespace
} // namespace hanat
