// Suggestions for a mistyped word: the nearest of the known ones, or the list of them.
// Not here: the sentence around it (config, cli, arguments).
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hanat {

/// The known word that was probably meant; empty: none is near. Case and "-" for "_" do not count as mistakes.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);
/// `: did you mean "interval"?`, or, where none is near, `: write "a", "b" or "c"`.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);
/// `"a", "b" or "c"`.
std::string alternatives(std::span<const std::string_view> words);

} // namespace hanat
