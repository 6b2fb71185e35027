// [pair]: its values, its defaults, and an error with a remedy for each mistake.
#include <chrono>
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "tests/unit/daemon/config/rows.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using test::Row;

std::optional<PairConfig> pair_of(const std::string& text) {
  const auto result = parse_config(text, "f");
  const auto* config = std::get_if<Config>(&result);
  EXPECT_NE(config, nullptr) << test::errors_of(text);
  return config == nullptr ? std::nullopt : config->pair;
}

TEST(PairConfig, WithoutItsTableTheGatewayIsAlone) { EXPECT_EQ(pair_of("[hanatd]\n"), std::nullopt); }

TEST(PairConfig, AnAddressIsEnough) {
  EXPECT_EQ(pair_of("[pair]\naddress = \"203.0.113.10\"\n"),
            (PairConfig{.address = *Address::parse("203.0.113.10"), .settle = 2s, .track_file = ""}));
}

TEST(PairConfig, AWholeTableBecomesValues) {
  EXPECT_EQ(pair_of("[pair]\naddress = \"2001:db8::10\"\nsettle = \"0s\"\ntrack_file = \"/run/hanat/fit\"\n"),
            (PairConfig{.address = *Address::parse("2001:db8::10"), .settle = 0s, .track_file = "/run/hanat/fit"}));
}

// clang-format off
constexpr Row pair_rows[] = {
    {R"(settle = "2s")", R"(1:1: [pair] has no address: write the address that the two gateways share, as in address = "203.0.113.10"; this gateway is active while it has it)"},
    {R"(address = 10)", R"(2:11: pair.address must be a string, not an integer: write address = "203.0.113.10")"},
    {R"(address = "203.0.113.10:80")", R"(2:11: pair.address = "203.0.113.10:80" is not an address that the two gateways share: write the one that clients connect to, without a port, as in "203.0.113.10" or "2001:db8::10")"},
    {R"(address = "0.0.0.0")", R"(2:11: pair.address = "0.0.0.0" is not an address that the two gateways share: write the one that clients connect to, without a port, as in "203.0.113.10" or "2001:db8::10")"},
    {R"(address = "127.0.0.1")", R"(2:11: pair.address = "127.0.0.1" is not an address that the two gateways share: write the one that clients connect to, without a port, as in "203.0.113.10" or "2001:db8::10")"},
    {R"(address = "fe80::1")", R"(2:11: pair.address = "fe80::1" is not an address that the two gateways share: write the one that clients connect to, without a port, as in "203.0.113.10" or "2001:db8::10")"},
};
constexpr Row other_rows[] = {
    {R"(settle = 2)", R"(3:10: pair.settle = 2 has no unit: write "2s" or "2ms")"},
    {R"(settle = "11m")", R"(3:10: pair.settle = "11m" is longer than 10m, the maximum: write a time like "2s")"},
    {R"(track_file = "fit")", R"(3:14: pair.track_file = "fit" is not the path of a file: write the whole path, without blanks, as in "/run/hanat/fit")"},
    {R"(track_file = "/run/hanat/")", R"(3:14: pair.track_file = "/run/hanat/" is not the path of a file: write the whole path, without blanks, as in "/run/hanat/fit")"},
    {R"(track_file = "/run/ha nat")", R"(3:14: pair.track_file = "/run/ha nat" is not the path of a file: write the whole path, without blanks, as in "/run/hanat/fit")"},
    {R"(setle = "2s")", R"(3:1: unknown key "pair.setle": did you mean "settle"?)"},
};
// clang-format on

TEST(PairConfig, AMistakeGivesAnErrorWithARemedy) {
  test::expect_errors("[pair]\n%\n", pair_rows);
  test::expect_errors("[pair]\naddress = \"203.0.113.10\"\n%\n", other_rows);
}

TEST(PairConfig, ItBelongsInTheMainFile) {
  const ConfigText files[] = {{.name = "main", .text = ""}, {.name = "extra", .text = "[pair]\naddress = \"203.0.113.10\"\n"}};
  const auto result = parse_config(files);
  const auto* errors = std::get_if<std::vector<ConfigError>>(&result);
  ASSERT_NE(errors, nullptr);
  ASSERT_EQ(errors->size(), 1U);
  EXPECT_EQ(to_text(errors->front()),
            "extra:1:1: [pair] belongs in the main file, where it applies to the services of all files: move it there");
}

} // namespace
} // namespace hanat
