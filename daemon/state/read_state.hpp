// Reads a file of the state directory without trusting it. Not here: what it holds (state_file, health_file).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace hanat {

struct StateText {
  std::string text;
  std::string error; // why it was not read, or not to its end; empty: it was
  bool missing = false;
};

/// It has to be a regular file of this user or of root, not world-writable, and not larger than that. Does not wait for a fifo.
StateText read_state_text(const std::filesystem::path& file, std::uint64_t bytes_at_most);

} // namespace hanat
