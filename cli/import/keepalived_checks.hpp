// The health checks of a real_server as probes.
// Pure. Not here: virtual servers (keepalived).
#pragma once

#include <optional>
#include <vector>

#include "cli/import/keepalived_blocks.hpp"
#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// What a virtual server says for all checks of its servers.
struct CheckDefaults {
  std::optional<milliseconds> interval; // delay_loop
  std::optional<milliseconds> timeout, retry_delay;
  std::optional<unsigned> retries;
  std::string virtualhost;
};

struct ServerChecks {
  std::vector<ProbeText> probes;
  std::optional<unsigned> fails;
};
/// Adds to `notes` what is lost.
ServerChecks read_checks(const Block& server, const CheckDefaults& defaults, std::vector<Note>& notes);

std::optional<unsigned> retries_of(std::string_view text);

} // namespace hanat::cli::imports
