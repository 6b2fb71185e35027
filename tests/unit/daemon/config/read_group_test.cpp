// Invalid groups and the error of each, and valid groups.
// Not here: how a group moves (decision/group_test).
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/unit/daemon/config/rows.hpp"

namespace {

using hanat::Config;
using hanat::Mode;
using hanat::parse_config;
using hanat::test::errors_of;
using hanat::test::expect_errors;
using hanat::test::Row;

// Lines 1 to 11; a row starts at line 12.
constexpr std::string_view grouped_frame = R"([service.sip]
listen = "203.0.113.10:5060/tcp"
primary = "10.0.0.1"
backup = "10.0.0.2"
[service.rtp]
listen = "203.0.113.10:7078/tcp"
primary = "10.0.0.1"
backup = "10.0.0.2"
[service.web]
listen = "203.0.113.10:443/tcp"
primary = "10.0.0.3"
%)";

// clang-format off: one row is one invalid text and its errors

constexpr Row grouped_rows[] = {
    {"group = 1", R"(12:9: group does not belong here: write a separate table, as in [group.sip] services = ["sip", "rtp"])"},
    {"[group]\nvoice = [\"sip\", \"rtp\"]",
     R"(13:1: group.voice is a list, but a group is a table: write [group.NAME] above its services, as in [group.sip])"},
    {"[group.\"a b\"]\nservices = [\"sip\", \"rtp\"]",
     R"(12:8: "a b" is not a valid group name: use 1 to 64 of the characters A-Z a-z 0-9 _ . -)"},
    {"[group.voice]", R"(12:1: group voice has no services: write services = ["sip", "rtp"], or remove the group)"},
    {"[group.voice]\nservices = []", R"(12:1: group voice has no services: write services = ["sip", "rtp"], or remove the group)"},
    {"[group.voice]\nservices = [\"sip\"]", R"(12:1: group voice has only one service: add another one, or remove the group)"},
    {"[group.voice]\nservices = \"sip\"", R"(13:12: services must be a list of services, not a string: write services = ["sip", "rtp"])"},
    {"[group.voice]\nservices = [\"sip\", 1]",
     R"(13:20: services must be a list of strings, not an integer: write services = ["sip", "rtp"])"},
    {"[group.voice]\nservice = [\"sip\", \"rtp\"]", R"(13:1: unknown key "service": did you mean "services"?)"},
    {"[group.voice]\nservices = [\"sip\", \"rpt\"]",
     R"(13:20: group voice lists "rpt", but no such service is configured: did you mean "rtp"?)"},
    {"[group.voice]\nservices = [\"sip\", \"telephone\"]",
     R"(13:20: group voice lists "telephone", but no such service is configured: write its [service.NAME], or remove it from the group)"},
    {"[group.voice]\nservices = [\"sip\", \"rtp\", \"sip\"]",
     R"(13:27: service sip is listed twice in group voice, first in line 13: list it once)"},
    {"[group.a]\nservices = [\"sip\", \"rtp\"]\n[group.b]\nservices = [\"rtp\", \"sip\"]",
     "15:13: service rtp is already in group a (line 13), and a service can be in one group only: remove it from one of them, or merge the "
     "groups\n"
     "15:20: service sip is already in group a (line 13), and a service can be in one group only: remove it from one of them, or merge the "
     "groups"},
    {"[group.voice]\nservices = [\"sip\", \"web\"]",
     R"(13:20: service web (line 9) has 1 server, but sip of the same group (line 1) has 2: services of a group move together, role by role; give both the same number of servers in the same order, or remove one from group voice)"},
    {"failback = \"manual\"\nbackup = \"10.0.0.4\"\n[group.voice]\nservices = [\"sip\", \"web\"]",
     R"(15:20: service web has failback = "manual" (line 12), but sip of the same group has failback = "auto" (built in): write the same in both, or remove one from group voice)"},
    {"failback = { after = \"30s\", window = \"02:00-04:30\" }\nbackup = \"10.0.0.4\"\n[group.voice]\nservices = [\"web\", \"sip\"]",
     R"(15:20: service sip has failback = "auto" (built in), but web of the same group has failback = { after = "30s", window = "02:00-04:30" } (line 12): write the same in both, or remove one from group voice)"},
    {"on_none = \"keep\"\nmode = \"observe\"\nbackup = \"10.0.0.4\"\n[group.voice]\nservices = [\"sip\", \"web\"]",
     "16:20: service web has mode = \"observe\" (line 13), but sip of the same group has mode = \"auto\" (built in): write the same in "
     "both, or "
     "remove one from group voice\n"
     "16:20: service web has on_none = \"keep\" (line 12), but sip of the same group has on_none = \"refuse\" (built in): write the same "
     "in both, or "
     "remove one from group voice"},
    {"backup = \"10.0.0.400\"\n[group.voice]\nservices = [\"sip\", \"web\"]", // no error about the number of servers
     R"(12:10: "10.0.0.400" is not an IPv4 address: write four numbers from 0 to 255 without leading zeros, as in "10.0.0.11:8443")"},
};

// clang-format on

TEST(ConfigGroups, AnInvalidGroupGivesAnErrorWithBothLocationsAndARemedy) { expect_errors(grouped_frame, grouped_rows); }

std::string grouped_text(std::string_view more) {
  std::string text{grouped_frame};
  return text.replace(text.find('%'), 1, more);
}

TEST(ConfigGroups, ServicesKnowTheirGroup) {
  const auto result = parse_config(grouped_text("[group.voice]\nservices = [\"sip\", \"rtp\"]\n"), "f");
  ASSERT_TRUE(std::holds_alternative<Config>(result)) << errors_of(grouped_text("[group.voice]\nservices = [\"sip\", \"rtp\"]\n"));
  const auto& services = std::get<Config>(result).services;
  EXPECT_EQ(services[0]->group, "voice");
  EXPECT_EQ(services[1]->group, "voice");
  EXPECT_EQ(services[2]->group, "");
}

TEST(ConfigGroups, DefaultsApplyToAllServicesOfAGroup) {
  EXPECT_EQ(errors_of("[defaults]\nfailback = \"manual\"\non_none = \"drop\"\nmode = \"observe\"\n" +
                      grouped_text("[group.voice]\nservices = [\"sip\", \"rtp\"]\n")),
            "");
}

TEST(ConfigGroups, ModeIsAutoByDefault) {
  const auto result = parse_config("[defaults]\nmode = \"observe\"\n" + grouped_text("mode = \"auto\"\n"), "f");
  ASSERT_TRUE(std::holds_alternative<Config>(result));
  EXPECT_EQ(std::get<Config>(result).services[0]->mode, Mode::observe);
  EXPECT_EQ(std::get<Config>(result).services[2]->mode, Mode::automatic);
}

TEST(ConfigGroups, AnExtraFileMayGroupServicesOfAnyFile) {
  std::string folder = (std::filesystem::temp_directory_path() / "hanat-groups-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::filesystem::create_directory(folder + "/conf.d");
  std::ofstream{folder + "/hanat.toml"} << grouped_text("[group.voice]\nservices = [\"sip\", \"rtp\"]\n");
  std::ofstream{folder + "/conf.d/more.toml"} << "[group.voice]\nservices = [\"rtp\", \"web\"]\n";
  const auto twice = hanat::load_config(folder + "/hanat.toml");
  std::ofstream{folder + "/hanat.toml"} << grouped_text("");
  std::ofstream{folder + "/conf.d/more.toml"} << "[group.voice]\nservices = [\"rtp\", \"sip\"]\n";
  const auto right = hanat::load_config(folder + "/hanat.toml");
  std::ofstream{folder + "/conf.d/other.toml"} << "[service.fax\n";
  std::ofstream{folder + "/conf.d/more.toml"} << "[group.voice]\nservices = [\"rtp\", \"fax\"]\n";
  const auto partly = hanat::load_config(folder + "/hanat.toml");
  std::filesystem::remove_all(folder);

  ASSERT_TRUE(std::holds_alternative<std::vector<hanat::ConfigError>>(twice));
  const auto& errors = std::get<std::vector<hanat::ConfigError>>(twice);
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_EQ(to_text(errors[0]), folder + "/conf.d/more.toml:1:1: group voice is defined twice, first in line 12 of " + folder +
                                    "/hanat.toml: rename one of them, or list all its services in one");
  EXPECT_EQ(errors[1].message.substr(0, 40), "service rtp is already in group voice (l");
  ASSERT_TRUE(std::holds_alternative<std::vector<hanat::ConfigError>>(partly));
  EXPECT_EQ(std::get<std::vector<hanat::ConfigError>>(partly).size(), 1U) << "the unreadable file may define fax";
  ASSERT_TRUE(std::holds_alternative<Config>(right));
  EXPECT_EQ(std::get<Config>(right).services[1]->group, "voice");
}

} // namespace
