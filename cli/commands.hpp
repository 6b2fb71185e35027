// Runs a command: sends a request to the daemon or checks a file, prints the reply, returns the exit status.
// Not here: reading the command line (arguments), the texts (show, replies).
#pragma once

#include <cstdint>
#include <string>

#include "cli/arguments.hpp"

namespace hanat::cli {

/// Scripts rely on these.
enum class Exit : std::uint8_t { done = 0, refused = 1, usage = 2, no_daemon = 3 };

/// Does not throw, whatever the daemon replies.
Exit run(const Invocation& invocation);

/// One error: the message on stderr, and with --json an object on stdout.
Exit fail(Exit status, bool json, const std::string& error, const std::string& message);

} // namespace hanat::cli
