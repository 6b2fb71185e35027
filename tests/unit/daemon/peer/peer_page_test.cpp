// The page of a pair: what is written is read again, on a machine with other clocks, and what is not a page is refused in words.
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/peer/peer_page.hpp"
#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using planning::endpoint;
using testing::HasSubstr;

const Time page_now{1'000h};
const WallTime page_wall{1'769'853'600'123ms};

PeerPage full_page() {
  const PeerServer primary{.role = "primary", .addresses = {endpoint("198.18.1.2", 8443)}};
  const PeerServer backup{.role = "backup", .addresses = {endpoint("198.18.2.2", 0), endpoint("fd00::2", 8443)}};
  PeerService web{.name = "web",
                  .listen = {"203.0.113.10:443/tcp"},
                  .group = "g",
                  .servers = {primary, backup},
                  .target = backup,
                  .why = "forced",
                  .since = page_wall - 10s};
  web.force = PeerOverride{.server = backup,
                           .until = page_now + 30min,
                           .since = page_wall - 5s,
                           .reason = "new disk \"x\" \xc3\xa4",
                           .by = "root",
                           .until_down = true};
  web.disabled = {{.server = primary, .since = page_wall - 4s, .reason = "", .by = "ann"}};
  const PeerService none{.name = "mail", .listen = {}, .since = page_wall};
  return {.hanatd = "0.1.0",
          .instance = "abc",
          .serial = 7,
          .whole = true,
          .more = true,
          .role = "active",
          .conntrackd = "behind",
          .keepalived = "ok",
          .role_age = 1200ms,
          .change_age = 3ms,
          .clock = page_wall,
          .services = {web, none},
          .removed = {"old"}};
}
json page_json() { return json::parse(to_json_text(full_page(), page_now, page_wall)); }

std::string error_of(const json& page) {
  const auto parsed = parse_peer_page(page.dump(), page_now, page_wall);
  const auto* const why = std::get_if<std::string>(&parsed);
  return why == nullptr ? "it is a page" : *why;
}

TEST(PeerPage, WhatIsWrittenIsReadAgain) {
  const auto parsed = parse_peer_page(to_json_text(full_page(), page_now, page_wall), page_now, page_wall);
  ASSERT_TRUE(std::holds_alternative<PeerPage>(parsed)) << std::get<std::string>(parsed);
  EXPECT_EQ(std::get<PeerPage>(parsed), full_page());
}

TEST(PeerPage, OnlyWhatIsLeftAndAgesAreSentSoThatClocksMayDiffer) {
  const Time other_now{5h};
  const WallTime other_wall = page_wall - 3h;
  const auto parsed = parse_peer_page(to_json_text(full_page(), page_now, page_wall), other_now, other_wall);
  const PeerService& web = std::get<PeerPage>(parsed).services.front();
  EXPECT_EQ(web.force->until, other_now + 30min);
  EXPECT_EQ(web.force->since, other_wall - 5s);
  EXPECT_EQ(web.disabled.front().until, std::nullopt);
  EXPECT_EQ(web.since, other_wall - 10s);
}

TEST(PeerPage, KeysOfANewerHanatdAreIgnored) {
  json page = page_json();
  page["fresh"] = {1, 2};
  page["services"][0]["fresh"] = "x";
  EXPECT_EQ(error_of(page), "it is a page");
}

TEST(PeerPage, AnotherVersionIsNamedWithTheRemedy) {
  json page = page_json();
  page["version"] = 2;
  page["hanatd"] = "9.1";
  EXPECT_EQ(error_of(page), "it is of version 2, and this hanatd knows version 1: install the same hanatd on both gateways (there: 9.1)");
}

TEST(PeerPage, EachWrongValueIsNamed) {
  const auto with = [](const json::json_pointer& key, const json& value) {
    json page = page_json();
    page[key] = value;
    return error_of(page);
  };
  using pointer = json::json_pointer;
  EXPECT_THAT(with(pointer{"/serial"}, -1), HasSubstr("\"serial\" in the page is not a whole number"));
  EXPECT_THAT(with(pointer{"/serial"}, 1.5), HasSubstr("not a whole number"));
  EXPECT_THAT(with(pointer{"/more"}, "yes"), HasSubstr("not true or false"));
  EXPECT_THAT(with(pointer{"/clock"}, "today"), HasSubstr("not a time"));
  EXPECT_THAT(with(pointer{"/role"}, 1), HasSubstr("not a text"));
  EXPECT_THAT(with(pointer{"/role"}, std::string(5000, 'x')), HasSubstr("longer than 4096 bytes"));
  EXPECT_THAT(with(pointer{"/role"}, "a\nb"), HasSubstr("control characters"));
  EXPECT_THAT(with(pointer{"/role_age_ms"}, 9e17), HasSubstr("not a whole number"));
  EXPECT_THAT(with(pointer{"/role_age_ms"}, std::uint64_t{1} << 62), HasSubstr("too long a time"));
  EXPECT_THAT(with(pointer{"/services"}, 1), HasSubstr("not a list"));
  EXPECT_THAT(with(pointer{"/services/0"}, 1), HasSubstr("a service is not an object"));
  EXPECT_THAT(with(pointer{"/services/0/name"}, "a b"), HasSubstr("not that of a service"));
  EXPECT_THAT(with(pointer{"/services/0/target"}, json{{"role", "x"}}), HasSubstr("has no addresses"));
  EXPECT_THAT(with(pointer{"/services/0/target/addresses"}, json{"www"}), HasSubstr("www is not the address of a server"));
  EXPECT_THAT(with(pointer{"/services/0/forced/until_down"}, 1), HasSubstr("not true or false"));
  EXPECT_THAT(with(pointer{"/removed"}, json{1}), HasSubstr("\"name\" is not a text"));
}

TEST(PeerPage, WhatIsNoPageIsRefused) {
  for (const char* text : {"", "x", "[]", "1", "null", "{\"version\":", "{\"version\": \"1\"}", "\xff\xfe"}) {
    const auto parsed = parse_peer_page(text, page_now, page_wall);
    EXPECT_TRUE(std::holds_alternative<std::string>(parsed)) << text;
  }
  EXPECT_THAT(error_of(json::object()), HasSubstr("has no \"version\""));
  const auto deep = parse_peer_page(std::string(100'000, '['), page_now, page_wall);
  EXPECT_TRUE(std::holds_alternative<std::string>(deep));
  const auto parsed = parse_peer_page(std::string(longest_peer_page + 1, ' '), page_now, page_wall);
  EXPECT_THAT(std::get<std::string>(parsed), HasSubstr("longer than"));
}

} // namespace
} // namespace hanat
