// Text from outside for a terminal with nothing lost: every byte that is not printable ASCII becomes \xNN.
// Not here: text whose other bytes may be lost (nat/printable).
#pragma once

#include <string>
#include <string_view>

namespace hanat {

std::string escaped(std::string_view text);

} // namespace hanat
