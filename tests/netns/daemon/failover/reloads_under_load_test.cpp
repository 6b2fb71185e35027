// Many reloads with random edits, all of them valid, under load: no connection breaks, no connect fails, and the traffic moves exactly when
// the file says that another server is the primary. HANAT_RELOADS=200 is the long form, HANAT_SEED another sequence.
// Not here: what one reload changes (reload_test, lifecycle_test), reloads that come faster than they are done.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

unsigned long number_of(const char* variable, unsigned long otherwise) {
  const char* const text = std::getenv(variable); // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return text == nullptr ? otherwise : std::strtoul(text, nullptr, 10);
}

/// What the file says at the moment. Every combination is valid.
struct EditedFile {
  bool swapped = false; // the primary is what was the backup
  bool third = false;   // there is a second backup
  unsigned interval_ms = 50, timeout_ms = 200, fails = 3, passes = 2;
  bool asks = false; // the probe sends a line and expects an answer
  bool nudge = true, hold = true, drains = false;
  bool alternative_port = false;           // another listener of the service
  bool mail = false, renamed_mail = false; // another service
  bool grouped = false;                    // with mail

  std::string service(const std::string& name, const std::string& listen) const {
    std::string backups = fmt::format("\"{}\"", to_text(Lab::endpoint(swapped ? Host::primary : Host::backup, 8443)));
    if (third) backups += fmt::format(", \"{}\"", to_text(Lab::endpoint(Host::backup2, 8443)));
    return fmt::format("[service.{}]\nlisten = [{}]\nprimary = \"{}\"\nbackup = [{}]\n"
                       "probe = {{ type = \"tcp\", interval = \"{}ms\", fast_interval = \"10ms\", timeout = \"{}ms\"{} }}\n"
                       "down = {{ fails = {}, within = \"2s\" }}\nup = {{ passes = {}, stable_for = \"100ms\" }}\n"
                       "nudge = {}\nhold = {}\non_failover = \"{}\"\n",
                       name, listen, to_text(Lab::endpoint(swapped ? Host::backup : Host::primary, 8443)), backups, interval_ms, timeout_ms,
                       asks ? R"(, send = "health\n", expect = "p|b")" : "", fails, passes, nudge, hold, drains ? "drain 10s" : "reset");
  }
  std::string text() const {
    const std::string other = renamed_mail ? "post" : "mail";
    std::string text = service("web", alternative_port ? R"("203.0.113.10:443/tcp", "203.0.113.10:8080/tcp")" : "\"203.0.113.10:443/tcp\"");
    if (mail) text += service(other, "\"203.0.113.11:25/tcp\"");
    if (mail && grouped) text += fmt::format("[group.both]\nservices = [\"web\", \"{}\"]\n", other);
    return text;
  }

  /// One to three changes.
  void edit(std::mt19937& random) {
    const auto below = [&random](unsigned bound) { return std::uniform_int_distribution<unsigned>{0, bound - 1}(random); };
    for (unsigned count = 1 + below(3); count > 0; --count) switch (below(13)) {
      case 0: swapped = !swapped; break;
      case 1: third = !third; break;
      case 2: interval_ms = 40 + 10 * below(4); break;
      case 3: timeout_ms = 150 + 50 * below(4); break;
      case 4: fails = 3 + below(3); break;
      case 5: passes = 1 + below(3); break;
      case 6: asks = !asks; break;
      case 7: nudge = !nudge; break;
      case 8: hold = !hold; break;
      case 9: drains = !drains; break;
      case 10: alternative_port = !alternative_port; break;
      case 11: mail ? std::exchange(renamed_mail, !renamed_mail) : std::exchange(mail, true); break;
      default: mail&& below(3) == 0 ? std::exchange(mail, false) : std::exchange(grouped, !grouped); break;
      }
  }
};

TEST(ReloadsUnderLoad, BreakNothingAndMoveOnlyToAnotherPrimary) {
  const unsigned long reloads = number_of("HANAT_RELOADS", 30);
  std::mt19937 random{static_cast<std::uint32_t>(number_of("HANAT_SEED", 14))};
  Lab lab{{.backup2 = true}};
  const TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"},
      backup2{lab, Host::backup2, 8443, "backup2"};
  EditedFile file;
  const Hanatd hanatd{lab, file.text()};
  wait_both_up(hanatd);
  std::vector<TcpClient> standing;
  for (int count = 0; count < 50; ++count) standing.emplace_back(lab, Host::client, Lab::vip(443));
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 300, .duration = milliseconds{600'000}}};

  std::uint64_t moves = 0;
  for (unsigned long count = 0; count < reloads; ++count) {
    const bool swapped = file.swapped;
    file.edit(random);
    if (file.swapped != swapped) ++moves;
    SCOPED_TRACE(fmt::format("reload {}:\n{}", count, file.text()));
    const Output done = hanatd.reload(file.text());
    ASSERT_EQ(done.exit, 0) << done.err;
    const Status now = hanatd.wait_for([](const Status& status) {
      const ServiceStatus& web = service(status, "web");
      return web.target == "primary" && server(web, "primary").health == "up" && server(web, "backup").health == "up";
    });
    ASSERT_EQ(service(now, "web").flips, moves);
  }

  const LoadResult result = load.stop();
  EXPECT_EQ(result.failed(), 0U) << result;
  std::size_t broken = 0;
  for (TcpClient& client : standing)
    if (client.ask().result != Result::answered) ++broken;
  EXPECT_EQ(broken, 0U);
  std::cout << fmt::format("{} reloads, {} of them with another primary: {} moves, {} of {} standing connections broken; {}\n", reloads,
                           moves, service(hanatd.status(), "web").flips, broken, standing.size(), result);
}

} // namespace
} // namespace hanat::test
