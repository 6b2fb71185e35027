// The other gateway of a pair, as hanatctl tells of it. Pure. Not here: this gateway's role (show_pair), the screen (show_status).
#pragma once

#include <string>
#include <vector>

#include "cli/notices.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

/// What is said of it behind this gateway's role: "; 198.18.9.2:9718 is the standby, seen 0.2 s ago". Empty: none is configured.
std::string show_peer(const PairStatus& pair);
/// What is wrong with it or with the link, the troubles first.
std::vector<Notice> peer_notices(const PairStatus& pair);
/// The same in a few words each, for a check.
struct PeerCause {
  bool critical = false; // otherwise it is a warning
  std::string text;
  bool operator==(const PeerCause&) const = default;
};
std::vector<PeerCause> peer_causes(const PairStatus& pair);

} // namespace hanat::cli
