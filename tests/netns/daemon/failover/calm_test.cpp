// A healthy server is never taken for a dead one, whatever the machine goes through: every processor busy with other things.
// HANAT_CALM_SECONDS=600 makes it ten minutes. Not here: a full table of connections (full_conntrack), a daemon or machine that stood still
// (own_failure).
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

std::chrono::seconds calm_time() {
  const char* said = std::getenv("HANAT_CALM_SECONDS"); // NOLINT(concurrency-mt-unsafe): nobody changes it
  return std::chrono::seconds{said == nullptr ? 4 : std::stol(said)};
}

TEST(Calm, WithEveryProcessorBusyAHealthyServerStaysUp) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  HttpServer pages{lab, Host::primary, 8080, "primary"};
  Hanatd hanatd{lab,
                fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"{0}\"\nbackup = \"{1}\"\n"
                            "[service.pages]\nlisten = \"203.0.113.11:80/tcp\"\nprimary = \"{2}\"\nbackup = \"{1}\"\nprobe = {{ type = "
                            "\"http\", port = 8080, address = \"{3}\" }}\n",
                            to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::backup, 8443)),
                            to_text(Lab::endpoint(Host::primary, 8080)), Lab::address(Host::primary).text())};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("pages", "primary");
  std::vector<Process> busy;
  for (unsigned count = 0; count < 2 * std::thread::hardware_concurrency(); ++count)
    busy.push_back(lab.spawn(Host::client, {"sh", "-c", "while :; do :; done"}));
  const auto end = TestClock::now() + calm_time();
  while (TestClock::now() < end) {
    std::this_thread::sleep_for(milliseconds{200});
    const Status status = hanatd.status();
    for (const char* name : {"web", "pages"}) {
      ASSERT_EQ(service(status, name).flips, 0U) << hanatd.log();
      ASSERT_EQ(server(service(status, name), "primary").health, "up") << hanatd.log();
    }
  }
}

} // namespace
} // namespace hanat::test
