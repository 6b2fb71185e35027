// The picture as lines for a screen of a given size: what is wrong first, the list, all of the selected service, the last events, the keys.
// Pure. Not here: putting them on a terminal (terminal), what is asked (questions).
#pragma once

#include <vector>

#include "cli/top/picture.hpp"
#include "cli/top/values.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli::top {

/// Exactly size.rows lines, none wider than size.columns. It notes in the picture how many rows of the list are in view.
std::vector<Line> draw(Picture& picture, Size size, WallTime now);

} // namespace hanat::cli::top
