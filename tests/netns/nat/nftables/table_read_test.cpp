// A table that is read while it changes: whatever comes back stood in the kernel at one moment. Not here: what is read of a table in peace,
// and beside a neighbour who changes another one (kernel_test).
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <string>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include "nat/nftables/table.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::nat {
namespace {

/// Two of these differ in sets that are read one after the other.
TableState rules_of(const char* address) {
  TableState rules;
  for (std::uint16_t port = 1; port <= 3; ++port) {
    const Vip listen = test::vip("203.0.113.10", port, Protocol::tcp);
    const Endpoint server = test::endpoint(address, port);
    rules.vips[listen] = address;
    rules.dnat[listen] = {server, address};
    rules.snat[{listen, server}] = {{SnatKind::address, server.address}, address};
  }
  return rules;
}

TEST(KernelRead, TellsOfOneMoment) {
  test::isolated([] {
    const TableState one = rules_of("198.18.1.2");
    const TableState other = rules_of("198.18.2.2");
    NftTable kernel{"hanat", Ownership::shared};
    kernel.load(one);
    std::atomic<bool> over = false;
    unsigned changes = 0;
    std::thread changing{[&] {
      NftTable writer{"hanat", Ownership::shared};
      for (bool moved = false; !over || moved; moved = !moved, ++changes) {
        writer.change(moved ? other : one, moved ? one : other);
        std::this_thread::sleep_for(std::chrono::milliseconds{1 + changes % 8});
      }
    }};
    std::map<std::string, unsigned> seen;
    for (int reading = 0; reading < 200; ++reading) try {
        const auto loaded = kernel.read();
        const bool is_one = loaded && loaded->state == one;
        ++seen[is_one ? "one" : loaded && loaded->state == other ? "other" : "neither"];
      } catch (const std::system_error& error) { // never undisturbed in all its attempts: better than a value of two moments
        EXPECT_TRUE(error.code().value() == EAGAIN || error.code().value() == EINTR) << error.what();
        ++seen["none"];
      }
    over = true;
    changing.join();
    EXPECT_EQ(seen["neither"], 0U) << testing::PrintToString(seen) << " beside " << changes << " changes";
    EXPECT_GT(changes, 20U) << "it was not alone";
    EXPECT_TRUE(kernel.read()->state == one);
  });
}

} // namespace
} // namespace hanat::nat
