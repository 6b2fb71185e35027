// What a reload would change, for people. Pure. Not here: finding it out (daemon), what a reload did (replies).
#pragma once

#include <string>

#include "cli/view.hpp"
#include "daemon/api/reload_plan.hpp"

namespace hanat::cli {

std::string show_plan(const ReloadPlan& plan, const std::string& file, const View& view);

} // namespace hanat::cli
