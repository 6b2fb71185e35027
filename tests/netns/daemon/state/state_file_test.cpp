// A state file of another owner: only root can give a file away. Not here: all else about it (the unit test of this name).
#include "daemon/state/state_file.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat::test {
namespace {

TEST(StateFile, OfAnotherOwnerIsNotRead) {
  const TempDir dir;
  save_state(dir.path(),
             {.overrides = {{.service = "web", .target = "backup", .until = std::nullopt, .reason = "", .by = "root", .since = {}}},
              .drains = {}});
  ASSERT_EQ(load_state(dir.path()).state.overrides.size(), 1U);
  ASSERT_EQ(chown((dir / "state.json").c_str(), 65534, 65534), 0);
  const auto loaded = load_state(dir.path());
  EXPECT_TRUE(loaded.state.overrides.empty());
  EXPECT_THAT(loaded.warning, testing::HasSubstr("belongs to uid 65534"));
}

} // namespace
} // namespace hanat::test
