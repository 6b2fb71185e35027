// The life of the live screen: it is drawn when something happened or a second has gone, and ends by a key or a signal.
// Not here: anything that it brings together (keys, draw, connection, terminal).
#pragma once

#include <string>

#include "cli/top/connection.hpp"

namespace hanat::cli::top {

/// The terminal is as it was before when this returns or throws. The number of the signal that ended it; 0: a key did.
int run(const std::string& socket, const Texts& texts, bool colour);

} // namespace hanat::cli::top
