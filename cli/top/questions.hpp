// The texts of what the live screen asks and answers: which server, whether it is to be done and what that means, the help. Pure.
// Not here: the keys (keys), where the texts stand (draw).
#pragma once

#include <string>
#include <vector>

#include "cli/top/picture.hpp"
#include "cli/top/values.hpp"

namespace hanat::cli::top {

struct Panel {
  std::vector<Line> lines; // each however long
  std::string keys;        // what can be pressed now
};
/// No lines while nothing is asked.
Panel panel_of(const Mode& mode, const Listing& list);

} // namespace hanat::cli::top
