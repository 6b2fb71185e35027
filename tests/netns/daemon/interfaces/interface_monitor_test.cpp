// The monitor on a real kernel, and what it does when the kernel tells more than fits.
// Not here: what a change means (unit: interfaces/interface_table_test).
#include <chrono>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <uv.h>

#include "daemon/interfaces/interface_monitor.hpp"
#include "tests/netns/lab/lab.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;

TEST(InterfaceMonitor, ListsEverythingAgainWhenChangesWereLost) {
  Lab lab;
  lab.must(Host::gateway,
           "ip link add wan0 type veth peer name peer-wan0 && ip link set wan0 up && ip address add 203.0.113.50/32 dev wan0");
  lab.in(Host::gateway, [&] {
    uv_loop_t loop;
    uv_loop_init(&loop);
    {
      unsigned told = 0;
      InterfaceMonitor monitor{&loop, [&told] { ++told; }};
      EXPECT_EQ(monitor.table().find("wan0").addresses.size(), 1U);
      const auto run_until = [&](const auto& condition) {
        const auto end = std::chrono::steady_clock::now() + 5s;
        while (!condition() && std::chrono::steady_clock::now() < end) {
          uv_run(&loop, UV_RUN_NOWAIT);
          std::this_thread::sleep_for(1ms);
        }
        return condition();
      };
      monitor.set_buffer(1); // the kernel's least: some messages
      lab.must(Host::gateway, "for i in $(seq 1 200); do echo address add 203.0.113.$i/32 dev wan0; done | ip -force -batch - ; "
                              "ip link set wan0 name wan1");
      EXPECT_TRUE(run_until([&] { return monitor.lists() > 0; })) << "changes were lost";
      EXPECT_TRUE(run_until([&] { return monitor.table().find("wan1").addresses.size() == 200; }));
      EXPECT_FALSE(monitor.table().find("wan0").exists);
      EXPECT_GT(told, 0U);
      monitor.set_buffer(1 << 20);
      lab.must(Host::gateway, "ip link delete wan1");
      EXPECT_TRUE(run_until([&] { return !monitor.table().find("wan1").exists; })) << "it hears on";
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  });
}

} // namespace
} // namespace hanat::test
