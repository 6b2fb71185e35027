// Reads a program and its arguments, of an exec probe or a hook: a list of strings, the absolute path first.
// Not here: whether the program can be run (util/trusted_program).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/toml_reader.hpp"

namespace hanat::config {

/// `example`: as it is written. Reports errors; what is read then is not to be used.
std::vector<std::string> read_command(TableReader& reader, const toml::node& node, std::string_view key, std::string_view example);

} // namespace hanat::config
