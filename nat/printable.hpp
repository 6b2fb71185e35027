// Text from outside (servers, files) made safe for a terminal and the journal; its length stays.
// Not here: text of which nothing may be lost (daemon/util/escape).
#pragma once

#include <string>
#include <string_view>

namespace hanat {

/// Printable ASCII.
constexpr bool is_printable(char c) { return c >= ' ' && c <= '~'; }
/// Every other byte becomes '?'.
std::string printable(std::string_view text);

} // namespace hanat
