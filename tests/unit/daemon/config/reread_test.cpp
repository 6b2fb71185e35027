// Reading a configuration by what has changed in its files says what reading all of it says, or that it cannot be said.
// Not here: what is read (load_config_test), the files themselves (read_files_test).
#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/reread.hpp"

namespace {

using namespace hanat;
using config::ConfigFiles;

std::string service(const std::string& name, unsigned port, const std::string& more = {}) {
  return "[service." + name + "]\nlisten = \"203.0.113.10:" + std::to_string(port) + "/tcp\"\nprimary = \"198.18.1.1:80\"\n" + more + "\n";
}
const std::string head = "# gateway\n[hanatd]\non_stop = \"keep\"\n\n[defaults]\non_none = \"drop\"\n\n";
const std::string three = head + service("a", 1) + service("b", 2) + service("c", 3);

ConfigFiles files_of(const std::string& main, const std::vector<std::pair<std::string, std::string>>& extra = {}) {
  ConfigFiles files{.main = "/etc/hanat/hanat.toml", .content = main, .extra = {}};
  for (const auto& [name, text] : extra) files.extra.push_back({.name = "/etc/hanat/conf.d/" + name, .content = text});
  return files;
}

struct Version {
  ConfigFiles files;
  std::optional<Config> config = {}; // nullopt: it has errors
  std::shared_ptr<const config::Outline> outline = {};
};
Version loaded(ConfigFiles files) {
  Version version{.files = std::move(files)};
  ConfigResult result = load_config(version.files, version.outline);
  if (auto* config = std::get_if<Config>(&result)) version.config = std::move(*config);
  return version;
}
std::optional<config::Reread> reread(const Version& before, const ConfigFiles& files) {
  return config::reread({.config = before.config.value(), .files = before.files, .outline = *before.outline}, files);
}

/// Expects the same as of reading everything, by what has changed alone, and that others are shared.
Config expect_reread(const Version& before, const ConfigFiles& now, std::size_t shared) {
  const auto result = reread(before, now);
  const Version all = loaded(now);
  EXPECT_TRUE(all.config.has_value());
  EXPECT_TRUE(result.has_value());
  if (!result || !all.config) return {};
  EXPECT_EQ(result->config, *all.config);
  EXPECT_EQ(result->outline->main, all.outline->main);
  EXPECT_EQ(result->outline->extra, all.outline->extra);
  std::size_t same = 0;
  for (const auto& one : result->config.services)
    if (std::ranges::any_of(before.config->services, [&](const auto& other) { return one.is_same(other); })) ++same;
  EXPECT_EQ(same, shared);
  return result->config;
}
void expect_all_read(const Version& before, const ConfigFiles& now) { EXPECT_FALSE(reread(before, now).has_value()); }

TEST(Reread, AServiceThatChangesIsReadAlone) {
  const Version before = loaded(files_of(three));
  const Config config = expect_reread(before, files_of(head + service("a", 1) + service("b", 22, "nudge = false\n") + service("c", 3)), 2);
  EXPECT_EQ(config.services.at(1)->listen.front().port, 22);
  EXPECT_EQ(config.services.at(1)->on_none, OnNone::drop); // of [defaults]
}

TEST(Reread, ServicesComeAndGo) {
  const Version before = loaded(files_of(three));
  expect_reread(before, files_of(three + service("d", 4)), 3);
  expect_reread(before, files_of(head + service("x", 9) + service("a", 1) + service("b", 2) + service("c", 3)), 3);
  expect_reread(before, files_of(head + service("a", 1) + service("c", 3)), 2);
  expect_reread(before, files_of(head + service("a", 1)), 1);
  expect_reread(before, files_of(head + service("b", 2) + service("a", 1) + service("c", 3)), 3); // in another order
  expect_reread(before, files_of(three), 3);
}

TEST(Reread, FilesOfConfDComeChangeAndGo) {
  const Version before = loaded(files_of(three, {{"10.toml", service("d", 4)}, {"30.toml", service("e", 5)}}));
  expect_reread(before, files_of(three, {{"10.toml", service("d", 4)}, {"20.toml", service("f", 6)}, {"30.toml", service("e", 5)}}), 5);
  expect_reread(before, files_of(three, {{"30.toml", service("e", 5)}}), 4);
  expect_reread(before, files_of(three, {{"10.toml", service("d", 44)}, {"30.toml", service("e", 5)}}), 4);
  expect_reread(before, files_of(head + service("a", 1), {{"20.toml", service("b", 2) + service("g", 7)}}), 2);
}

TEST(Reread, WhatIsMoreThanServicesIsForAllOfIt) {
  const Version before = loaded(files_of(three));
  expect_all_read(before, files_of("# of the east\n" + three));
  expect_all_read(before, files_of(three + "[group.g]\nservices = [\"a\", \"b\"]\n"));
  expect_all_read(before, files_of(head + "probe = { type = \"icmp\" }\n" + service("a", 1) + service("b", 2) + service("c", 3)));
  const Version grouped = loaded(files_of(three + "[group.g]\nservices = [\"a\", \"b\"]\n"));
  expect_all_read(grouped, files_of(three));
  expect_all_read(grouped,
                  files_of(head + service("a", 11) + service("b", 2) + service("c", 3) + "[group.g]\nservices = [\"a\", \"b\"]\n"));
}

TEST(Reread, WhatIsWrongIsForAllOfIt) {
  const Version before = loaded(files_of(three));
  expect_all_read(before, files_of(three + "[service.d]\n"));
  expect_all_read(before, files_of(three + service("a", 4)));                                  // defined twice
  expect_all_read(before, files_of(three, {{"10.toml", service("a", 4)}}));                    // likewise
  expect_all_read(before, files_of(three + service("d", 3)));                                  // the listener of another one
  expect_all_read(before, files_of(three + service("d", 4, "backup = \"203.0.113.10:1\"\n"))); // another's listener as its server
  expect_all_read(before, files_of(three + service("d", 4, "up = \"\"\"\n")));                 // a string that does not end
  expect_all_read(before, files_of(three + "[service.a.up]\npasses = 5\n"));                   // of another service
  expect_all_read(before,
                  files_of(three + "[service.d]\nlisten = \"198.18.1.1:80/tcp\"\nprimary = \"198.18.1.2\"\n")); // a server of others
}

/// Tables of one service that stand apart are no reason to read less than all.
TEST(Reread, AServiceInSeveralPlacesIsForAllOfIt) {
  const std::string apart = three + "[service.a.up]\npasses = 5\n\n";
  const Version before = loaded(files_of(apart));
  ASSERT_TRUE(before.config.has_value());
  EXPECT_FALSE(before.outline->main.has_value());
  expect_all_read(before, files_of(apart + service("d", 4)));
}

TEST(Reread, AStringMayLookLikeAService) {
  const auto looking_like = [](const std::string& name) {
    const std::string probe = "probe = { type = \"udp\", port = 514, send = \"\"\"a\n[service." + name + "]\n\"\"\" }\n";
    return head + service("a", 1, probe) + service("b", 2);
  };
  const Version before = loaded(files_of(looking_like("z")));
  ASSERT_TRUE(before.config.has_value());
  expect_reread(before, files_of(looking_like("z") + service("d", 4)), 2);
  expect_reread(before, files_of(looking_like("y")), 1);
}

/// Whatever is edited: the same as of all, or no answer.
class AnyEdit : public testing::TestWithParam<unsigned> {
protected:
  unsigned below(unsigned number) { return std::uniform_int_distribution<unsigned>{0, number - 1}(random_); }
  std::string any_service() {
    static const char* const more[] = {"",
                                       "nudge = false\n",
                                       "hold = false\n",
                                       "up = { passes = 3, stable_for = \"1s\" }\n",
                                       "[service.s1.up]\npasses = 4\n",
                                       "# [service.s2]\n",
                                       "backup = \"203.0.113.10:3\"\n",
                                       "x = 1\n"};
    return service("s" + std::to_string(below(12)), 1 + below(15), more[below(8)]);
  }
  std::string edited(std::string text) {
    switch (below(6)) {
    case 0: return text + any_service();
    case 1: { // a line is gone
      const auto begin = text.empty() ? 0 : text.rfind('\n', below(static_cast<unsigned>(text.size())));
      return begin == std::string::npos ? text : text.erase(begin, text.find('\n', begin + 1) - begin);
    }
    case 2: { // a service before another one
      const auto at = text.find("[service.", below(static_cast<unsigned>(text.size()) + 1));
      return at == std::string::npos ? text : text.insert(at, any_service());
    }
    case 3: { // a letter
      if (text.empty()) return text;
      text[below(static_cast<unsigned>(text.size()))] = "1a\n\"[.#"[below(7)];
      return text;
    }
    case 4: { // a service is gone
      const auto at = text.find("[service.", below(static_cast<unsigned>(text.size()) + 1));
      return at == std::string::npos ? text : text.erase(at, text.find("[service.", at + 1) - at);
    }
    default: { // all up to somewhere twice
      return text.insert(below(static_cast<unsigned>(text.size()) + 1), text, 0, below(60));
    }
    }
  }
  std::mt19937 random_{GetParam()};
};

TEST_P(AnyEdit, ReadsAsAllOfIt) {
  std::string main = head, extra;
  for (unsigned number = 0; number < 5; ++number) main += service("s" + std::to_string(number), number + 1);
  for (unsigned number = 5; number < 8; ++number) extra += service("s" + std::to_string(number), number + 1);
  Version before = loaded(files_of(main, {{"more.toml", extra}}));
  unsigned reread_count = 0;
  for (int round = 0; round < 150; ++round) {
    const std::string next_main = below(3) == 0 ? main : edited(main), next_extra = below(3) == 0 ? extra : edited(extra);
    const Version all = loaded(files_of(next_main, {{"more.toml", next_extra}}));
    const auto result = reread(before, all.files);
    if (!all.config) {
      EXPECT_FALSE(result.has_value()) << next_main << "---\n" << next_extra;
      continue;
    }
    if (result) {
      ++reread_count;
      EXPECT_EQ(result->config, *all.config) << next_main << "---\n" << next_extra;
      before = Version{.files = all.files, .config = result->config, .outline = result->outline};
    } else {
      before = all;
    }
    main = next_main;
    extra = next_extra;
  }
  EXPECT_GT(reread_count, 5U);
}
INSTANTIATE_TEST_SUITE_P(Seeds, AnyEdit, testing::Range(0U, 20U));

} // namespace
