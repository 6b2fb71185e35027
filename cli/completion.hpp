// What can stand at the end of a command line: worked out from the table of commands and options, the same for every shell. Pure. Not here:
// the names of services and servers, which the daemon has (complete_command), how a shell shows it (packaging/completions).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hanat::cli {

struct Candidate {
  std::string word, description = {};
  bool operator==(const Candidate&) const = default;
};

struct Completion {
  enum class Servers : std::uint8_t { none, all, backups };

  std::string prefix;                     // that each of them begins with
  std::string before;                     // what the shell wants in front of each: "--server="
  std::vector<Candidate> candidates = {}; // without names of services and servers
  bool files = false;                     // names of files instead
  bool services = false;                  // names of services, too
  Servers servers = Servers::none;        // roles of servers, too
  std::string service = {};               // whose servers; empty: of the only one
  std::optional<std::string> socket = {}; // that the command line names
};

/// `words`: those behind "hanatctl", up to the one that is to be completed, which may be empty. Bash splits them at "=" and ":".
Completion complete(std::string_view shell, std::span<const std::string> words);

/// "WORD\tDESCRIPTION" lines; for bash the word alone. Only what begins with the prefix.
std::string completion_lines(std::string_view shell, const Completion& completion);

} // namespace hanat::cli
