// A diagnosis as text for people: problems first, each with the command that mends it; one line where all is well.
// Pure. Not here: the examination (the daemon's).
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/view.hpp"

namespace hanat::cli {

struct DoctorText {
  int exit = 0; // 0: nothing was found; 1: warnings alone, or nothing could be sent; 2: problems
  std::string text;
};
/// `reply` is that of Doctor; `status` the reply of Status, for what real clients see. Throws nlohmann::json::exception for others.
DoctorText show_doctor(const nlohmann::json& reply, const nlohmann::json& status, const View& view);

} // namespace hanat::cli
