// Numbers for people and JSON, to a thousandth: more digits mean nothing. Not here: durations as text (util/duration).
#pragma once

#include <cmath>

namespace hanat {

inline double rounded(double value) { return std::round(value * 1000) / 1000; }

} // namespace hanat
