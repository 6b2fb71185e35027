// What the tests under fire share: a lab with two servers and a daemon whose state is in memory, flips as fast as the control socket
// takes them, and what a client's connection met of them. Not here: what may fail.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/api/client.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {

/// A state directory in memory: an override is on the disk before it is answered, and these tests are about flips, not about disks.
class MemoryFolder {
public:
  MemoryFolder() {
    std::string pattern = "/dev/shm/hanat-fire-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp " + pattern);
    path = pattern;
  }
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  std::filesystem::path path;
};

/// The service moved to `to` between the two moments. Ordered by time.
struct Flip {
  TestClock::time_point asked, committed;
  std::string to;
};

class Fire : public testing::Test {
protected:
  /// As fast as the control socket takes it. A flip that had to wait for a cut of the same server's flows is waited for.
  Flip flip(Hanatd& hanatd, const std::string& role, const std::string& name = "web") {
    Flip made{.asked = TestClock::now(), .committed = {}, .to = role};
    const auto answer = call(hanatd.socket(), "Force", {{"service", name}, {"server", role}});
    if (answer.at("services").at(0).at("pending").get<bool>()) {
      ++waits_for_cut;
      hanatd.wait_target(name, role, std::chrono::seconds{10});
    }
    made.committed = TestClock::now();
    return made;
  }
  void both_up(Hanatd& hanatd) {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  /// Conntrack entries, whosoever's they are: the kernel's own counter, free to read.
  static std::size_t entries_here() {
    std::size_t count = 0;
    std::ifstream{"/proc/sys/net/netfilter/nf_conntrack_count"} >> count;
    return count;
  }
  std::size_t entries() { return lab.in(Host::gateway, entries_here); }
  std::size_t entries_of(const Mapping& mapping) {
    return lab.in(Host::gateway, [&] { return count_entries([&](const Flow& flow) { return flow.mapping == mapping; }); });
  }
  void make(const Mapping& mapping, std::size_t count) {
    lab.in(Host::gateway, [&] { synthesise(flows_of(mapping, count, made_)); });
    made_ += count; // never the same client twice
  }

  Lab lab{{.bystander = true, .vip_local = true}};
  MemoryFolder folder;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  std::size_t waits_for_cut = 0;

private:
  std::size_t made_ = 0;
};

inline bool met_a_flip(const Connect& connect, const std::vector<Flip>& flips) {
  const auto first = std::ranges::lower_bound(flips, connect.started, {}, &Flip::committed);
  return first != flips.end() && first->asked <= connect.started + connect.ended;
}

/// Where a connection had to go that began after a flip was committed and stood before the next was asked; nullopt: it met a flip.
inline std::optional<std::string> only_target(const Connect& connect, const std::vector<Flip>& flips) {
  const auto next = std::ranges::upper_bound(flips, connect.started, {}, &Flip::committed);
  if (next == flips.begin() || connect.connected < std::chrono::nanoseconds{0}) return std::nullopt;
  if (next != flips.end() && next->asked <= connect.started + connect.connected) return std::nullopt;
  return std::prev(next)->to;
}

} // namespace hanat::test
