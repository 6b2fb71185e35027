// The folders depend on each other in one direction, and the link lines of CMakeLists.txt say the same as the includes: a folder may
// include what its target links, directly or through PUBLIC links, and every arrow goes down in the order below. Not here: includes of
// libraries; the linker knows those.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/structure/tree.hpp"

namespace hanat::structure {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

struct Level {
  std::string_view folder;
  int height;
};
// A folder uses only lower ones: neither higher ones nor those of its own height.
constexpr std::array levels{
    Level{"nat", 0},
    Level{"nat/nftables", 1},
    Level{"nat/conntrack", 1},
    Level{"probes", 2},
    Level{"probes/io", 3},
    Level{"probes/kinds", 4},
    Level{"probes/passive", 4},
    Level{"probes/scheduling", 5},
    Level{"daemon/util", 6},
    Level{"daemon/http", 7},
    Level{"daemon/api", 7},
    Level{"daemon/config", 8},
    Level{"daemon/decision", 9},
    Level{"daemon/pair", 9},
    Level{"daemon/doctor", 10},
    Level{"daemon/state", 9},
    Level{"daemon/peer", 10},
    Level{"daemon/names", 10},
    Level{"daemon/interfaces", 10},
    Level{"daemon/report", 11},
    Level{"daemon/report/hooks", 12},
    Level{"daemon/failover", 12},
    Level{"daemon/control", 13},
    Level{"daemon/links", 14},
    Level{"daemon", 15},
    Level{"cli/import", 9},
    Level{"cli/top", 9},
    Level{"cli", 14},
};
std::optional<int> height_of(std::string_view folder) {
  const auto* const found = std::ranges::find(levels, folder, &Level::folder);
  if (found == levels.end()) return std::nullopt;
  return found->height;
}

// The folder of a path, as a part of the architecture: one file for each kind of probe is still configuration.
std::string folder_of(std::string_view path) {
  std::string folder{path.substr(0, path.rfind('/'))};
  return folder == "daemon/config/probe" ? "daemon/config" : folder;
}

struct Target {
  std::string folder; // empty: a program
  std::set<std::string> public_links, private_links;
};
using Targets = std::map<std::string, Target>;

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>{stream}, {}};
}

void add_links(Target& target, const std::vector<std::string>& words) {
  std::set<std::string>* links = &target.public_links; // what CMake takes a link without a keyword for
  for (const std::string& word : words) {
    if (word == "PUBLIC")
      links = &target.public_links;
    else if (word == "PRIVATE")
      links = &target.private_links;
    else
      links->insert(word);
  }
}

Targets read_targets(const std::string& cmake) {
  Targets targets;
  const std::string text = std::regex_replace(cmake, std::regex{"#[^\n]*"}, "");
  const std::regex call{R"((\w+)\s*\(([^()]*)\))"};
  for (std::sregex_iterator at{text.begin(), text.end(), call}, end; at != end; ++at) {
    std::vector<std::string> words = words_of((*at)[2]);
    if (words.empty()) continue;
    const std::string command = (*at)[1], name = words.front();
    words.erase(words.begin());
    if (name.starts_with("$")) continue; // the function hanat_library itself
    if (command == "hanat_library") targets[name].folder = words.front();
    if (command == "add_executable") targets[name];
    if (command == "target_link_libraries") add_links(targets[name], words);
  }
  return targets;
}

// What `name` may include: its own links (a header: only the PUBLIC ones), and their PUBLIC links, to the end.
std::set<std::string> reachable(const Targets& targets, const std::string& name, bool header) {
  const Target& target = targets.at(name);
  std::vector<std::string> open{target.public_links.begin(), target.public_links.end()};
  if (!header) open.insert(open.end(), target.private_links.begin(), target.private_links.end());
  std::set<std::string> reached;
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    if (!reached.insert(next).second || !targets.contains(next)) continue;
    const std::set<std::string>& links = targets.at(next).public_links;
    open.insert(open.end(), links.begin(), links.end());
  }
  return reached;
}

struct Include {
  std::string file;
  std::size_t line;
  std::string header;
};
std::vector<Include> includes_of(const std::vector<TextFile>& files) {
  std::vector<Include> includes;
  const std::regex directive{"^\\s*#\\s*include\\s*\"([^\"]+)\".*"};
  for (const TextFile& file : files) {
    const std::vector<std::string_view> lines = lines_of(file.text);
    for (std::size_t line = 0; line < lines.size(); ++line) {
      std::match_results<std::string_view::const_iterator> match;
      if (std::regex_match(lines[line].begin(), lines[line].end(), match, directive))
        includes.push_back({.file = file.path, .line = line + 1, .header = match[1]});
    }
  }
  return includes;
}

std::optional<std::string> target_of(const Targets& targets, std::string_view folder) {
  for (const auto& [name, target] : targets)
    if (target.folder == folder) return name;
  return std::nullopt;
}

std::optional<std::string> fault_of(const Include& include, const Targets& targets) {
  const std::string from = folder_of(include.file), to = folder_of(include.header);
  if (from == to) return std::nullopt;
  const std::string where = fmt::format("{}:{} includes {}", include.file, include.line, include.header);
  const std::optional<std::string> user = target_of(targets, from), used = target_of(targets, to);
  if (!user) return fmt::format("{}: {} has no target", where, from);
  if (!used) return fmt::format("{}: {} has no target", where, to);
  const bool header = include.file.ends_with(".hpp");
  if (!reachable(targets, *user, header).contains(*used))
    return fmt::format("{}: {} does not link {}{}", where, *user, *used, header ? " PUBLIC" : "");
  if (!height_of(from) || !height_of(to) || *height_of(to) >= *height_of(from))
    return fmt::format("{}: {} is not below {}", where, to, from);
  if (from.starts_with("cli") && to != "daemon/api" && to != "daemon/config" && to != "daemon/util" && to != "cli/import" &&
      to != "cli/top" && include.header != "nat/fd.hpp") // a descriptor that closes itself is everybody's
    return fmt::format("{}: cli uses only daemon/api, daemon/config and daemon/util", where);
  return std::nullopt;
}

std::vector<std::string> faults_of_includes(const std::vector<TextFile>& files, const Targets& targets) {
  std::vector<std::string> faults;
  for (const Include& include : includes_of(files))
    if (const std::optional<std::string> fault = fault_of(include, targets)) faults.push_back(*fault);
  return faults;
}

std::vector<std::string> faults_of_links(const Targets& targets) {
  std::vector<std::string> faults;
  for (const auto& [name, target] : targets) {
    if (!target.folder.empty() && !height_of(target.folder)) faults.push_back(fmt::format("{}: no level for {}", name, target.folder));
    if (target.folder.empty() || !height_of(target.folder)) continue;
    std::set<std::string> links = target.public_links;
    links.insert(target.private_links.begin(), target.private_links.end());
    for (const std::string& link : links) {
      const auto linked = targets.find(link);
      if (linked == targets.end()) continue; // a library of others
      const std::optional<int> height = height_of(linked->second.folder);
      if (!height || *height >= *height_of(target.folder)) faults.push_back(fmt::format("{} links {}, which is not below it", name, link));
    }
  }
  return faults;
}

// Arrows by includes alone, whatever the levels say: a circle is named by its folders.
std::vector<std::string> circles_of(const std::vector<TextFile>& files) {
  std::map<std::string, std::set<std::string>> arrows;
  for (const Include& include : includes_of(files)) {
    const std::string from = folder_of(include.file), to = folder_of(include.header);
    if (from != to) arrows[from].insert(to);
  }
  // Folders that use nothing any more are taken away; what stays is in a circle, or uses one.
  for (bool removed = true; removed;) {
    removed = false;
    std::set<std::string> used_only;
    for (const auto& [from, uses] : arrows)
      for (const std::string& to : uses)
        if (!arrows.contains(to)) used_only.insert(to);
    for (auto& [from, uses] : arrows) std::erase_if(uses, [&](const std::string& to) { return used_only.contains(to); });
    removed = std::erase_if(arrows, [](const auto& arrow) { return arrow.second.empty(); }) > 0;
  }
  std::vector<std::string> circles;
  for (const auto& [from, uses] : arrows) circles.push_back(fmt::format("{} -> {}", from, fmt::join(uses, ", ")));
  return circles;
}

std::vector<TextFile> product() { return read_tree({"nat", "probes", "daemon", "cli"}, {".cpp", ".hpp"}); }
Targets targets() { return read_targets(read_text(HANAT_SOURCE "/CMakeLists.txt")); }

TEST(Layering, EveryIncludeGoesToAFolderThatIsLinkedAndLower) { EXPECT_THAT(faults_of_includes(product(), targets()), IsEmpty()); }

TEST(Layering, EveryLinkGoesToALowerFolder) { EXPECT_THAT(faults_of_links(targets()), IsEmpty()); }

TEST(Layering, NoFoldersIncludeEachOtherInACircle) { EXPECT_THAT(circles_of(product()), IsEmpty()); }

TEST(Layering, EveryFolderWithSourcesHasATargetAndALevel) {
  const Targets all = targets();
  for (const TextFile& file : product()) {
    EXPECT_TRUE(target_of(all, folder_of(file.path))) << file.path;
    EXPECT_TRUE(height_of(folder_of(file.path))) << file.path;
  }
  for (const Level& level : levels) EXPECT_TRUE(target_of(all, level.folder)) << level.folder;
}

TEST(Layering, IncludesNameTheirFolder) {
  for (const Include& include : includes_of(product()))
    EXPECT_THAT(read_text(std::string{HANAT_SOURCE "/"} + include.header), testing::Not(IsEmpty()))
        << include.file << ":" << include.line << " includes " << include.header << ", which is no file of this repository";
}

TEST(Layering, HanatctlLinksApiConfigAndUtilAndItsOwnFoldersOnly) {
  const Targets all = targets();
  EXPECT_EQ(all.at("hanatctl").private_links, std::set<std::string>{"cli"});
  EXPECT_THAT(all.at("hanatctl").public_links, IsEmpty());
  std::set<std::string> links = all.at("cli").public_links;
  links.insert(all.at("cli").private_links.begin(), all.at("cli").private_links.end());
  EXPECT_EQ(links, (std::set<std::string>{"api", "config", "util", "cli_import", "cli_top"}));
  EXPECT_EQ(all.at("cli_top").public_links, (std::set<std::string>{"api", "util"}));
  EXPECT_EQ(all.at("cli_import").public_links, (std::set<std::string>{"config", "util"}));
}

// The checks themselves, on a wrong tree.
Targets small_targets() {
  return read_targets(
      "hanat_library(nat nat) # (the ground)\nhanat_library(nat_nftables nat/nftables)\ntarget_link_libraries(nat_nftables PUBLIC nat)\n"
      "hanat_library(probes probes)\ntarget_link_libraries(probes\n  PRIVATE nat_nftables)\n"
      "hanat_library(util daemon/util)\ntarget_link_libraries(util PUBLIC probes)\n");
}

TEST(LayeringChecks, FindAnIncludeWithoutALink) {
  EXPECT_THAT(faults_of_includes({{"daemon/util/a.cpp", "#include \"nat/nftables/b.hpp\"\n"}}, small_targets()),
              Contains("daemon/util/a.cpp:1 includes nat/nftables/b.hpp: util does not link nat_nftables"));
  EXPECT_THAT(faults_of_includes({{"probes/a.cpp", "\n#include \"nat/nftables/b.hpp\"\n"}}, small_targets()), IsEmpty());
  EXPECT_THAT(faults_of_includes({{"probes/a.hpp", "#include \"nat/nftables/b.hpp\"\n"}}, small_targets()),
              Contains(HasSubstr("does not link nat_nftables PUBLIC")));
}

TEST(LayeringChecks, FindALinkUpwards) {
  Targets targets = small_targets();
  targets["nat"].public_links.insert("util");
  EXPECT_THAT(faults_of_links(targets), Contains("nat links util, which is not below it"));
  EXPECT_THAT(faults_of_includes({{"nat/a.cpp", "#include \"daemon/util/b.hpp\"\n"}}, targets),
              Contains(HasSubstr("daemon/util is not below nat")));
}

TEST(LayeringChecks, FindACircle) {
  const std::vector<TextFile> files{{"nat/a.hpp", "#include \"probes/b.hpp\"\n"},
                                    {"probes/b.hpp", "#include \"nat/a.hpp\"\n"},
                                    {"cli/c.cpp", "#include \"daemon/util/d.hpp\"\n"}};
  EXPECT_THAT(circles_of(files), testing::ElementsAre("nat -> probes", "probes -> nat"));
}

} // namespace
} // namespace hanat::structure
