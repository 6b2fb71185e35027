// Every kind of event has a word and an identifier of its own, the catalog explains each, and hanatd(8) lists the words and the fields.
// Not here: what a kind means (hanat.catalog).
#include "daemon/report/event_kinds.hpp"

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/report/event_values.hpp"
#include "tests/unit/structure/tree.hpp"

namespace hanat::events {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

/// The entries of the catalog by identifier, each with its head and its text.
std::map<std::string, std::string> read_catalog() {
  std::map<std::string, std::string> entries;
  std::istringstream lines(structure::read_text(HANAT_SOURCE "/packaging/hanat.catalog"));
  std::string id;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("-- ")) {
      id = line.substr(3);
      EXPECT_FALSE(entries.contains(id)) << "twice: " << id;
      entries[id];
    } else if (!line.starts_with('#') && !id.empty()) {
      entries[id] += line + "\n";
    }
  }
  return entries;
}

TEST(EventKinds, HaveWordsAndIdentifiersOfTheirOwn) {
  std::set<std::string_view> names, ids;
  for (const EventKind& kind : event_kinds()) {
    EXPECT_TRUE(names.insert(kind.name).second) << "twice: " << kind.name;
    EXPECT_TRUE(ids.insert(kind.id).second) << "twice: " << kind.id;
    EXPECT_THAT(std::string{kind.name}, testing::MatchesRegex("[a-z]+(-[a-z]+)*"));
    EXPECT_TRUE(std::regex_match(std::string{kind.id}, std::regex{"[0-9a-f]{32}"})) << kind.id;
  }
}

TEST(EventKinds, AreAllExplainedInTheCatalog) {
  auto catalog = read_catalog();
  for (const EventKind& kind : event_kinds()) {
    const auto entry = catalog.find(std::string{kind.id});
    ASSERT_NE(entry, catalog.end()) << kind.name << " " << kind.id;
    const std::string& text = entry->second;
    for (const char* head : {"Subject: ", "Defined-By: hanatd\n", "Documentation: man:hanatd(8)"}) EXPECT_THAT(text, HasSubstr(head));
    EXPECT_GT(text.size() - text.find("\n\n"), 25U) << kind.name << " is not explained";
    catalog.erase(entry);
  }
  EXPECT_TRUE(catalog.empty()) << "of no kind: " << catalog.begin()->first;
}

TEST(EventKinds, StandInTheManualPage) {
  const std::string page = structure::read_text(HANAT_SOURCE "/packaging/man/hanatd.8.scd");
  const std::string list = page.substr(page.find("## Events in the journal"));
  for (const EventKind& kind : event_kinds()) {
    const std::string word{kind.name};
    EXPECT_TRUE(std::regex_search(list, std::regex{"\\*" + word + "\\*"})) << word;
  }
}

// Each field of the source is listed, and no other.
TEST(EventFields, StandInTheManualPage) {
  const auto fields_in = [](std::string text, const std::regex& field) {
    std::set<std::string> found;
    for (std::sregex_iterator at{text.begin(), text.end(), field}, end; at != end; ++at) found.insert((*at)[1]);
    return found;
  };
  const std::string page = std::regex_replace(structure::read_text(HANAT_SOURCE "/packaging/man/hanatd.8.scd"), std::regex{"\\\\_"}, "_");
  const std::string source = structure::read_text(HANAT_SOURCE "/daemon/report/event_fields.cpp");
  const std::size_t begin = page.find("## Fields in the journal"), end = page.find("## Events in the journal");
  ASSERT_NE(begin, std::string::npos);
  ASSERT_LT(begin, end);
  EXPECT_EQ(fields_in(page.substr(begin, end - begin), std::regex{"\n\\|  \\*(HANAT_[A-Z_]+)\\*"}),
            fields_in(source, std::regex{"\"(HANAT_[A-Z_]+)\""}));
}

// What the catalog fills in has a value in the event: otherwise journalctl shows the name of the field.
TEST(EventFields, BeginWithTheKind) {
  const Event event = web(Stopping{});
  const EventKind kind = kind_of(event);
  EXPECT_EQ(kind.name, "stopping");
  EXPECT_THAT(fields_of(event),
              ElementsAre(Pair("MESSAGE_ID", std::string{kind.id}), Pair("HANAT_EVENT", "stopping"), Pair("HANAT_SERVICE", "web")));
}

TEST(EventFields, NameTheServerWhateverTheEventCallsIt) {
  const ServerName backup{.role = "backup", .address = {Address::parse("198.18.12.2").value(), 8443}};
  const auto is_named = [&](Payload what) {
    EXPECT_THAT(fields(what), Contains(Pair("HANAT_SERVER", "backup"))) << text(what);
    EXPECT_THAT(fields(what), Contains(Pair("HANAT_ADDRESS", "198.18.12.2:8443"))) << text(what);
  };
  is_named(HealthChanged{.server = backup, .last = {}});
  is_named(PathTrouble{.target = backup, .client = {}});
  is_named(FormerKept{.former = backup});
  is_named(NameChanged{.server = backup, .name = "db1.lan", .before = {}, .after = "198.18.12.2"});
  is_named(OverrideMoved{.from = {}, .to = backup});
  is_named(OverrideRestored{.forced = {.server = backup, .by = "root", .until = {}, .reason = {}}});
  is_named(HealthReported{.server = backup, .by = "root", .reason = {}});
  is_named(ServerDisabled{.server = backup, .by = "root", .until = {}, .reason = {}});
  EXPECT_THAT(fields(OverrideLost{.role = "backup", .by = "root", .reason = {}}),
              ElementsAre(Pair("HANAT_SERVICE", "web"), Pair("HANAT_SERVER", "backup"), Pair("HANAT_BY", "root")));
}

TEST(EventFields, AreLeftOutWhereThereIsNothingToSay) {
  EXPECT_EQ(fields(OverrideEnded{.expired = true}), only_the_service);
  EXPECT_EQ(fields(DrainBegun{}), only_the_service);
  EXPECT_THAT(fields(OverrideEnded{.by = "root"}), ElementsAre(Pair("HANAT_SERVICE", "web"), Pair("HANAT_BY", "root")));
  EXPECT_THAT(fields(KernelRefused{"No buffer space available"}), Contains(Pair("HANAT_ERROR", "No buffer space available")));
  EXPECT_THAT(fields_of({.at = made_at, .service = {}, .what = Message{}}), Not(Contains(Pair("HANAT_SERVICE", testing::_))));
}

} // namespace
} // namespace hanat::events
