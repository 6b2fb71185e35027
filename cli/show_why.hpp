// Why a service is where it is, for people: what was learnt, what was decided, and what is waited for, each once and in its order. Pure but
// for the time zone. Not here: finding it (daemon), what is wrong now in a sentence (notices).
#pragma once

#include <string>

#include "cli/show_status.hpp"
#include "cli/view.hpp"
#include "daemon/api/why.hpp"

namespace hanat::cli {

/// Detail::overview: the last two steps, without single results.
std::string show_why(const WhyReport& report, Detail detail, const View& view);

} // namespace hanat::cli
