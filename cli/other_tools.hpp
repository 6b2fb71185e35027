// Commands of neighbouring programs, and what hanatctl has for them: a hint for who types them here.
// Pure. Not here: the commands (arguments), words that are merely mistyped (util/did_you_mean).
#pragma once

#include <string_view>

namespace hanat::cli {

/// "hanatctl disable SERVER" for "maintenance"; empty: no other program has the word.
std::string_view hint_for(std::string_view word);

} // namespace hanat::cli
