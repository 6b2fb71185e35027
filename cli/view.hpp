// How the reader sees a text: colour, the width of the screen, the time. Not here: finding them out (commands).
#pragma once

#include <cstddef>
#include <string>

#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

struct View {
  bool colour = false;
  WallTime now{};
  std::size_t width = 0; // of the screen; 0: a fact is a line, however long
  std::string host = {}; // empty: not shown
};

} // namespace hanat::cli
