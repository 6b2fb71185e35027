// Ten files of each system, shaped as they are in the field, and what becomes of them: the file beside each, with .toml. After an intended
// change HANAT_UPDATE_GOLDEN=1 writes these anew. Not here: single lines and errors (import_test).
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>

#include "cli/import/import.hpp"
#include "cli/import/values.hpp"
#include "daemon/config/load_config.hpp"
#include "tests/unit/cli/import/import_fixture.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::cli::imports {
namespace {

namespace fs = std::filesystem;

struct Kind {
  System system;
  const char *folder, *extension;
};
constexpr Kind kinds[] = {
    {System::keepalived, "keepalived", ".conf"}, {System::haproxy, "haproxy", ".cfg"}, {System::iptables, "iptables", ".rules"}};

std::vector<fs::path> samples_of(const Kind& kind) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(test::samples() / kind.folder))
    if (entry.path().extension() == kind.extension) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

TEST(ImportSamples, BecomeWhatStandsBesideThem) {
  for (const Kind& kind : kinds) {
    const auto files = samples_of(kind);
    EXPECT_GE(files.size(), 10U) << kind.folder;
    for (const fs::path& file : files) {
      const Outcome outcome =
          import_text(kind.system, {.name = file.filename(), .text = test::read_text(file)}, test::sample_includes(kind.folder), {});
      fs::path golden = file;
      golden.replace_extension(".toml");
      if (std::getenv("HANAT_UPDATE_GOLDEN") != nullptr) test::write_text(golden, outcome.toml);
      EXPECT_EQ(outcome.toml, test::read_text(golden)) << golden;
    }
  }
}

TEST(ImportSamples, BecomeConfigurationsThatHanatTakes) {
  for (const Kind& kind : kinds)
    for (const fs::path& file : samples_of(kind)) {
      Options options;
      options.any = {*Address::parse("203.0.113.200"), *Address::parse("2001:db8::200")};
      const Outcome outcome =
          import_text(kind.system, {.name = file.filename(), .text = test::read_text(file)}, test::sample_includes(kind.folder), options);
      const auto result = parse_config(outcome.toml, file.filename());
      const auto* const config = std::get_if<Config>(&result);
      ASSERT_NE(config, nullptr) << file << "\n" << to_text(std::get<std::vector<ConfigError>>(result).front()) << "\n" << outcome.toml;
      EXPECT_EQ(config->services.size(), outcome.counts.services) << file;
      const auto lines = lines_in(outcome.toml);
      const auto marks = std::ranges::count_if(lines, [](std::string_view line) { return line.starts_with("# LOST: "); });
      EXPECT_EQ(static_cast<std::size_t>(marks), outcome.counts.lost) << outcome.toml;
    }
}

} // namespace
} // namespace hanat::cli::imports
