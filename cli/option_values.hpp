// The values of options: text to a value, or an error that says what to write. Pure but for the clock that "2h ago" needs. Not here: which
// option has which value (arguments).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/moment.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

// Each throws UsageError.
std::chrono::milliseconds override_time(std::string_view text);
std::chrono::milliseconds drain_time(std::string_view text);
std::chrono::milliseconds confirm_time(std::string_view text);
/// "backup", "backup2", "backup3", ...
std::string backup_name(std::string_view text);
/// "up", "down", "drain", "none"
std::string health_word(std::string_view text);
Color color_of(std::string_view text);
std::int64_t number_of(std::string_view option, std::string_view text);
Moment moment_of(std::string_view option, std::string_view text);
/// Nothing has happened since then.
WallTime past_moment(std::string_view option, std::string_view text);
/// "203.0.113.10" or "203.0.113.10,2001:db8::10"
std::vector<std::string> addresses_of(std::string_view text);

} // namespace hanat::cli
