// Durations as people write them: "500ms", "10s", "1h30m". Not here: the limits of a value and the errors about it (config, cli).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace hanat {

/// Whole numbers with ms, s, m, h or d, one or several: they are added. nullopt: not of this form.
/// A duration that is too long to be represented is std::chrono::nanoseconds::max().
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

/// "500ms", "10s", "90m": the largest unit that expresses it exactly.
std::string duration_text(std::chrono::nanoseconds duration);

} // namespace hanat
