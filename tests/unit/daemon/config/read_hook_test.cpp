// Which hook a service has, and what is said of programs that cannot be run. Not here: wrong values (read_service_test).
#include "daemon/config/read_hook.hpp"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/read_config.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string service(const std::string& name, int port, const std::string& more = {}) {
  return "[service." + name + "]\nlisten = \"203.0.113.10:" + std::to_string(port) + "/tcp\"\nprimary = \"10.0.0.1\"\n" + more + "\n";
}
Config parsed(const std::string& text) {
  const ConfigResult result = parse_config(text, "test");
  if (const auto* errors = std::get_if<std::vector<ConfigError>>(&result)) ADD_FAILURE() << to_text(errors->front());
  return std::holds_alternative<Config>(result) ? std::get<Config>(result) : Config{};
}
std::vector<std::string> errors_of(const std::string& text) { return hook_errors(parsed(text), std::array{geteuid()}); }

TEST(ReadHook, AServiceHasItsOwnOrThatOfTheDefaultsOrNone) {
  const Config config = parsed("[hanatd]\nhook = [\"/bin/true\", \"all\"]\nhook_timeout = \"1m\"\n"
                               "[defaults]\nhook = [\"/bin/true\", \"each\"]\nhook_timeout = \"3s\"\n" +
                               service("a", 1) + service("b", 2, "hook = []") + service("c", 3, "hook = [\"/bin/false\"]") +
                               service("d", 4, "hook_timeout = \"500ms\""));
  EXPECT_EQ(config.hook, (HookConfig{.command = {"/bin/true", "all"}, .timeout = 1min}));
  EXPECT_EQ(config.services[0]->hook, (HookConfig{.command = {"/bin/true", "each"}, .timeout = 3s}));
  EXPECT_EQ(config.services[1]->hook, HookConfig{});
  EXPECT_EQ(config.services[2]->hook, (HookConfig{.command = {"/bin/false"}, .timeout = 3s}));
  EXPECT_EQ(config.services[3]->hook, (HookConfig{.command = {"/bin/true", "each"}, .timeout = 500ms}));
  EXPECT_EQ(parsed(service("a", 1)).services[0]->hook.command, std::vector<std::string>{});
}

TEST(ReadHook, EachProgramIsLookedAtOnce) {
  EXPECT_THAT(errors_of("[defaults]\nhook = [\"/bin/true\"]\n" + service("a", 1)), IsEmpty());
  EXPECT_THAT(errors_of("[defaults]\nhook = [\"/no/such\"]\n" + service("a", 1) + service("b", 2) + service("c", 3)),
              ElementsAre("the hook \"/no/such\" of [service.a] and 2 more cannot be run: /no: No such file or directory"));
  EXPECT_THAT(errors_of("[hanatd]\nhook = [\"/no/such\"]\n"),
              ElementsAre("the hook \"/no/such\" of [hanatd] cannot be run: /no: No such file or directory"));
}

TEST(ReadHook, AReloadIsRefusedAndAStartIsNot) {
  const test::TempDir folder;
  test::write_text(folder / "hanat.toml", "[hanatd]\nhook = [\"/no/such\"]\n");
  ReadConfig read = read_config_at_start(folder / "hanat.toml");
  ASSERT_TRUE(read.config);
  check_hooks(read, folder / "hanat.toml");
  EXPECT_FALSE(read.config);
  ASSERT_EQ(read.errors.size(), 1U);
  EXPECT_EQ(to_text(read.errors[0]),
            (folder / "hanat.toml") + ": the hook \"/no/such\" of [hanatd] cannot be run: /no: No such file or directory");
}

} // namespace
} // namespace hanat
