// Random valid edits of the configuration. Not here: their effect on the traffic (rules).
#pragma once

#include <functional>
#include <string>

#include "tests/netns/model/spec.hpp"

namespace hanat::test::model {

/// Changes `spec`, and says what it did, for people. Whatever the numbers are, the result is a valid configuration; an edit that would not
/// be possible changes nothing. `busy`: the service has an override, or is not at rest.
std::string apply_edit(Spec& spec, unsigned kind, unsigned a, unsigned b, const std::function<bool(const ServiceSpec&)>& busy);

} // namespace hanat::test::model
