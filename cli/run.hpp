// Does what a command line says: asks the daemon or checks a file, prints the answer, gives the exit status.
// Not here: reading the command line (words), the sentences (show, said).
#pragma once

#include <cstdint>
#include <string>

#include "cli/words.hpp"

namespace hanat::cli {

/// The contract with scripts.
enum class Exit : std::uint8_t { done = 0, refused = 1, usage = 2, no_daemon = 3 };

/// Never throws for what the daemon does or says.
Exit run(const Invocation& invocation);

/// One error: the message on stderr, and with --json an object on stdout.
Exit fail(Exit status, bool json, const std::string& error, const std::string& message);

} // namespace hanat::cli
