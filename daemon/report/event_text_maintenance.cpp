// The sentences about servers out of service or reported on, and about overrides that a server or a reload ends or moves.
// Not here: the other sentences about overrides (event_text).
#include <string>

#include <fmt/format.h>

#include "daemon/report/event_sentences.hpp"
#include "daemon/util/duration.hpp"

namespace hanat::events {
namespace {

/// " for another 30m (new disk); `hanatctl enable web backup` ends it"
std::string how_long(const ServerDisabled& disabled, std::string_view more, const std::string& service) {
  return fmt::format("{}{}; `hanatctl enable {} {}` ends it",
                     disabled.lasts ? fmt::format(" for {}{}", more, duration_text(*disabled.lasts)) : "",
                     disabled.reason.empty() ? "" : fmt::format(" ({})", disabled.reason), service, disabled.server.role);
}

} // namespace

std::string Sentences::operator()(const OverrideVoid& override) const {
  return fmt::format("the override to {} ends: that server is {}; health decides again", full_name(override.server),
                     override.disabled ? "disabled" : "down, and the override was to end then");
}

std::string Sentences::operator()(const OverrideMoved& override) const {
  return fmt::format("the server of the override, {}, is {} now: the override stays with it; `hanatctl auto {}` ends it",
                     full_name(override.from), full_name(override.to), service_);
}

std::string Sentences::operator()(const OverrideDropped& override) const {
  return fmt::format("the override to {}{} is dropped: that server is no longer configured; health decides again",
                     full_name(override.server), override.by.empty() ? "" : " by " + override.by);
}

std::string Sentences::operator()(const HealthReported& reported) const {
  return fmt::format(
      "{} is reported {} by {}{}: that counts instead of its probes for {}, unless it is reported again; `hanatctl report {} "
      "{} --health none` ends it",
      full_name(reported.server), hanat::to_text(reported.health), reported.by,
      reported.reason.empty() ? "" : fmt::format(" ({})", reported.reason), duration_text(reported.lasts), service_, reported.server.role);
}

std::string Sentences::operator()(const ReportEnded& ended) const {
  const std::string why = ended.by.empty() ? "the report was not renewed in time" : "the report was ended by " + ended.by;
  return fmt::format("{} is judged by its probes again: {}", full_name(ended.server), why);
}

std::string Sentences::operator()(const ServerDisabled& disabled) const {
  return fmt::format("{} is disabled by {}{}", full_name(disabled.server), disabled.by, how_long(disabled, "", service_));
}

std::string Sentences::operator()(const ServerEnabled& enabled) const {
  const std::string why = enabled.expired ? "the time for which it was disabled is over" : "by " + enabled.by;
  return fmt::format("{} is enabled again: {}", full_name(enabled.server), why);
}

std::string Sentences::operator()(const MaintenanceRestored& restored) const {
  const ServerDisabled& disabled = restored.disabled;
  return fmt::format("{} stays disabled, by {}{}", full_name(disabled.server), disabled.by, how_long(disabled, "another ", service_));
}

std::string Sentences::operator()(const MaintenanceMoved& moved) const {
  return fmt::format("{}, which is disabled, is {} now: it stays disabled; `hanatctl enable {} {}` ends it", full_name(moved.from),
                     full_name(moved.to), service_, moved.to.role);
}

std::string Sentences::operator()(const MaintenanceLost& lost) const {
  return fmt::format("{}, which {} disabled{}, is no longer configured: no server is disabled in its place", full_name(lost.server),
                     lost.by.empty() ? "somebody" : lost.by, lost.reason.empty() ? "" : fmt::format(" ({})", lost.reason));
}

std::string Sentences::operator()(const MaintenanceClock& clock) const {
  return fmt::format("this machine's clock shows a time before the server was disabled: it is enabled again {} s from now",
                     clock.ends_after.count());
}

} // namespace hanat::events
