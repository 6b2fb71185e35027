// Text in columns of a terminal: a character takes none, one or two. Pure but for wcwidth(), which knows what LC_CTYPE has set.
// Not here: what stands where (draw).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hanat::cli::top {

/// Everything that could do something to a terminal becomes \xNN: control characters, bytes that are no UTF-8, and characters that change
/// the direction of text or cannot be seen. `utf8`: the terminal shows it; otherwise only ASCII stays.
std::string safe(std::string_view text, bool utf8);

/// Of text that is safe.
std::size_t columns_of(std::string_view text);
/// At most so many columns; "~" stands for what is cut off.
std::string cut_to(std::string_view text, std::size_t columns);
/// Exactly so many.
std::string padded(std::string_view text, std::size_t columns);
/// Lines of at most so many columns, broken at blanks where there are some; those after the first begin with `hang` blanks.
std::vector<std::string> folded(std::string_view text, std::size_t columns, std::size_t hang);
/// Without its last character.
std::string_view without_last(std::string_view text);

} // namespace hanat::cli::top
