// The terminal that stdout is, if it is one. Not here: what stands on it (show_status, show_history).
#pragma once

#include <cstddef>
#include <string>

#include "cli/arguments.hpp"
#include "cli/view.hpp"

namespace hanat::cli {

/// Colour on a terminal, unless NO_COLOR or --color says otherwise. Lines as wide as the terminal; where stdout is none they are not
/// wrapped, unless COLUMNS says so.
View view_of(Color color);

/// That of the terminal that stderr is; 0: it is none, and COLUMNS is not set.
std::size_t error_width();

/// The text in place of what the terminal showed, and no more of it than fits.
std::string as_screen(const std::string& text);

} // namespace hanat::cli
