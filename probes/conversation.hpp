// Leads a dialogue over a TCP connection of its own, under one absolute deadline. Not here: what the words mean (dialogue).
#pragma once

#include <memory>

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

/// Kinds that are a dialogue; tcp with something to send or to expect. `question` must outlive what is returned.
Asked converse(uv_loop_t* loop, const Question& question, Done done);

} // namespace hanat::probes
