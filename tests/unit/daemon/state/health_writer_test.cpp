// When the file of verdicts is written: all of it at first, then what changes. Not here: its content (health_file_test).
#include "daemon/state/health_writer.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using test::TempDir;

class HealthWriterTest : public testing::Test {
protected:
  HealthWriterTest() { uv_loop_init(&loop); }
  ~HealthWriterTest() override {
    writer.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop), 0);
  }
  void open() {
    writer = std::make_unique<HealthWriter>(
        &loop, dir.path(),
        HealthWriter::Source{
            .describe = [this](const std::string& name) -> std::optional<SavedService> {
              described.push_back(name);
              const auto found = services.find(name);
              if (found == services.end()) return std::nullopt;
              return SavedService{
                  .service = name, .target = found->second, .since = {}, .why = "starting", .shadow_target = {}, .servers = {}};
            },
            .services =
                [this] {
                  std::vector<std::string> names;
                  for (const auto& [name, target] : services) names.push_back(name);
                  return names;
                },
            .on_failure = [this](const std::string& error) { failures.push_back(error); }});
    writer->begin();
  }
  /// The loop runs until it is so, ten seconds at the most.
  bool wait(const std::function<bool()>& is_so) {
    for (const auto end = Clock::now() + 10s; Clock::now() < end; std::this_thread::sleep_for(1ms)) {
      uv_run(&loop, UV_RUN_NOWAIT);
      if (is_so()) return true;
    }
    return false;
  }
  std::string in_file(const std::string& name) {
    const SavedHealth health = load_health(dir.path());
    const auto found = health.services.find(name);
    return found == health.services.end() ? "" : found->second.target;
  }

  uv_loop_t loop{};
  TempDir dir;
  std::map<std::string, std::string> services; // with their targets
  std::vector<std::string> described, failures;
  std::unique_ptr<HealthWriter> writer;
};

TEST_F(HealthWriterTest, WritesAllAtFirstAndThenWhatChanges) {
  for (int number = 0; number < 600; ++number) services[fmt::format("s{}", number)] = "primary";
  open();
  EXPECT_TRUE(wait([&] { return std::filesystem::exists(dir / "health"); }));
  EXPECT_EQ(load_health(dir.path()).services.size(), 600U);
  EXPECT_EQ(described.size(), 600U);
  services["s7"] = "backup";
  services.erase("s8");
  writer->note({"s7"});
  writer->note({"s7", "s8"});
  EXPECT_TRUE(wait([&] { return in_file("s7") == "backup"; }));
  EXPECT_EQ(in_file("s8"), "");
  EXPECT_EQ(in_file("s9"), "primary");
  EXPECT_EQ(described.size(), 602U) << "each once";
}

TEST_F(HealthWriterTest, AtTheEndTheLastOfAllIsWritten) {
  services = {{"web", "primary"}, {"mail", "primary"}};
  open();
  services["mail"] = "backup"; // nobody said so
  writer->finish();
  EXPECT_EQ(in_file("mail"), "backup");
  services["mail"] = "none";
  writer->note({"mail"});
  writer->finish();
  EXPECT_EQ(in_file("mail"), "backup");
}

TEST_F(HealthWriterTest, AFileThatSomebodyRemovedIsWrittenAnew) {
  services = {{"web", "primary"}, {"mail", "primary"}};
  open();
  ASSERT_TRUE(wait([&] { return in_file("mail") == "primary"; }));
  std::filesystem::remove(dir / "health");
  writer->note({"web"});
  EXPECT_TRUE(wait([&] { return in_file("mail") == "primary"; }));
  EXPECT_TRUE(failures.empty());
}

TEST_F(HealthWriterTest, ADirectoryThatCannotBeWrittenIsToldOnce) {
  services = {{"web", "primary"}};
  std::filesystem::create_directory(dir / "health.new");
  open();
  ASSERT_TRUE(wait([&] { return !failures.empty(); }));
  EXPECT_THAT(failures.front(), testing::HasSubstr("health.new"));
  writer->note({"web"});
  std::filesystem::remove(dir / "health.new");
  writer->finish();
  EXPECT_EQ(in_file("web"), "primary");
  EXPECT_EQ(failures.size(), 1U);
}

} // namespace
} // namespace hanat
