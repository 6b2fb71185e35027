// Text from outside for a terminal with nothing lost: every byte that is not printable ASCII becomes \xNN.
// Not here: text whose other bytes may be lost (nat/printable).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hanat {

std::string escaped(std::string_view text);
/// With at most `longest` bytes, which is 40 or more: the end of a longer one is left out, and that is said.
std::string shortened(std::string text, std::size_t longest);

} // namespace hanat
