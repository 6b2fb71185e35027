// What is said of servers out of service, and of overrides that a server or a reload ends or moves. Not here: the other events
// (event_text_test).
#include <chrono>

#include <gtest/gtest.h>

#include "tests/unit/daemon/report/event_values.hpp"

namespace hanat::events {
namespace {

Endpoint at(const char* address, std::uint16_t port) { return {.address = Address::parse(address).value(), .port = port}; }
const ServerName primary_name{.role = "primary", .address = at("10.0.0.11", 8443)},
    backup_name{.role = "backup", .address = at("10.0.0.11", 8443)};

TEST(MaintenanceText, SaysWhoWhyHowLongAndWhatEndsIt) {
  const ServerDisabled plain{.server = backup_name, .by = "root", .until = {}, .reason = {}};
  EXPECT_EQ(text(plain), "backup (10.0.0.11:8443) is disabled by root; `hanatctl enable web backup` ends it");
  const ServerDisabled timed{
      .server = backup_name, .by = "root", .until = made_at, .lasts = std::chrono::minutes{30}, .reason = "new disk"};
  EXPECT_EQ(text(timed), "backup (10.0.0.11:8443) is disabled by root for 30m (new disk); `hanatctl enable web backup` ends it");
  EXPECT_EQ(level(timed), Level::warning);
  EXPECT_EQ(kind(timed), "maintenance");
  EXPECT_EQ(history_entry_of(web(timed))->until, to_text(made_at));
  EXPECT_EQ(history_entry_of(web(timed))->by, "root");
  EXPECT_EQ(text(MaintenanceRestored{timed}),
            "backup (10.0.0.11:8443) stays disabled, by root for another 30m (new disk); `hanatctl enable web backup` ends it");
  EXPECT_EQ(kind(MaintenanceRestored{timed}), "") << "the history has its beginning";
  EXPECT_EQ(level(MaintenanceRestored{timed}), Level::notice);
}

TEST(MaintenanceText, SaysWhatEndedIt) {
  EXPECT_EQ(text(ServerEnabled{.server = backup_name, .by = "root"}), "backup (10.0.0.11:8443) is enabled again: by root");
  EXPECT_EQ(history_entry_of(web(ServerEnabled{.server = backup_name, .by = "root"}))->by, "root");
  EXPECT_EQ(text(ServerEnabled{.server = backup_name, .expired = true}),
            "backup (10.0.0.11:8443) is enabled again: the time for which it was disabled is over");
  EXPECT_EQ(level(ServerEnabled{}), Level::notice);
  EXPECT_EQ(kind(ServerEnabled{}), "maintenance");
  EXPECT_EQ(text(MaintenanceLost{.server = backup_name, .by = "root", .reason = "new disk"}),
            "backup (10.0.0.11:8443), which root disabled (new disk), is no longer configured: no server is disabled in its place");
  EXPECT_EQ(level(MaintenanceLost{}), Level::warning);
  EXPECT_EQ(kind(MaintenanceLost{}), "maintenance");
  EXPECT_EQ(text(MaintenanceClock{std::chrono::seconds{90}}),
            "this machine's clock shows a time before the server was disabled: it is enabled again 90 s from now");
  EXPECT_EQ(level(MaintenanceClock{}), Level::warning);
}

TEST(MaintenanceText, SaysWhatAReloadMoved) {
  EXPECT_EQ(text(MaintenanceMoved{.from = primary_name, .to = backup_name}),
            "primary (10.0.0.11:8443), which is disabled, is backup (10.0.0.11:8443) now: it stays disabled; `hanatctl enable web backup` "
            "ends it");
  EXPECT_EQ(level(MaintenanceMoved{}), Level::warning);
  EXPECT_EQ(kind(MaintenanceMoved{}), "maintenance");
  EXPECT_EQ(
      text(OverrideMoved{.from = primary_name, .to = backup_name}),
      "the server of the override, primary (10.0.0.11:8443), is backup (10.0.0.11:8443) now: the override stays with it; `hanatctl auto "
      "web` ends it");
  EXPECT_EQ(level(OverrideMoved{}), Level::warning);
  EXPECT_EQ(kind(OverrideMoved{}), "override");
}

TEST(MaintenanceText, SaysWhyAnOverrideEnds) {
  EXPECT_EQ(text(OverrideVoid{.server = backup_name}),
            "the override to backup (10.0.0.11:8443) ends: that server is down, and the override was to end then; health decides again");
  EXPECT_EQ(text(OverrideVoid{.server = backup_name, .disabled = true}),
            "the override to backup (10.0.0.11:8443) ends: that server is disabled; health decides again");
  EXPECT_EQ(level(OverrideVoid{}), Level::warning);
  EXPECT_EQ(kind(OverrideVoid{}), "override");
  EXPECT_EQ(text(OverrideDropped{.server = backup_name, .by = "root"}),
            "the override to backup (10.0.0.11:8443) by root is dropped: that server is no longer configured; health decides again");
  EXPECT_EQ(text(OverrideDropped{.server = {.role = "backup2", .address = {}}, .by = {}}),
            "the override to backup2 is dropped: that server is no longer configured; health decides again");
  const Forced soft{.server = backup_name, .by = "root", .until = {}, .reason = {}, .until_down = true};
  EXPECT_EQ(text(soft), "forced to backup (10.0.0.11:8443) by root; it ends when that server goes down, or by `hanatctl auto web`");
}

TEST(EventText, OfADrillSaysThatItIsOne) {
  const Forced drill{.server = backup_name,
                     .by = "root",
                     .until = {},
                     .lasts = std::chrono::seconds{30},
                     .reason = "monthly",
                     .until_down = true,
                     .drill = true};
  EXPECT_EQ(text(drill), "a drill: forced to backup (10.0.0.11:8443) by root for 30s (monthly); it ends when that server goes down, or by "
                         "`hanatctl auto web`");
  EXPECT_EQ(text(OverrideRestored{drill}),
            "the drill to backup (10.0.0.11:8443) by root goes on for another 30s (monthly); `hanatctl auto web` ends it");
}

} // namespace
} // namespace hanat::events
