// Turns the configuration of another system into a hanat.toml: text in, text out. What comes out is always a configuration that hanat
// takes: a service that it would refuse stands there as a comment, with the reason.
// Pure, but for the files that `includes` reads. Not here: the command (cli/import_command), the formats (keepalived, haproxy, iptables).
#pragma once

#include <string>
#include <vector>

#include "cli/import/finish.hpp"
#include "cli/import/model.hpp"

namespace hanat::cli::imports {

enum class System : std::uint8_t { keepalived, haproxy, iptables };

struct Options {
  std::vector<Address> any; // what an address that is not given, or "*", stands for; empty: nobody said
};

struct Outcome {
  std::string toml;
  Counts counts;
};
/// Throws ImportError for a file that cannot be read, and std::logic_error for a fault of its own.
Outcome import_text(System system, const SourceText& source, const Includes& includes, const Options& options);

/// "2 services carried over; 3 settings were not carried over: look for LOST in the output"
std::string summary(const Counts& counts);

} // namespace hanat::cli::imports
