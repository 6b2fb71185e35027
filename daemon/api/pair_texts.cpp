// One sentence for each gateway and each role.
#include "daemon/api/pair_texts.hpp"

#include <utility>

#include <fmt/format.h>

namespace hanat {
namespace {

/// " on the other gateway (198.18.9.2:9718)"
std::string place_of(const PairSide& side) { return side.peer.empty() ? "" : fmt::format(" on the other gateway ({})", side.peer); }

std::string on_its_gateway(const PairSide& side, std::string command) {
  return side.peer.empty() ? command : "on the other gateway: " + std::move(command);
}

} // namespace

std::string keepalived_dead_text(const PairSide& side) {
  const bool own = side.peer.empty();
  std::string follows;
  if (side.standby)
    follows = own ? "this gateway cannot take over when the other one dies" : "that gateway cannot take over when this one dies";
  else
    follows = own ? "the other gateway hears nothing of this one, and takes the addresses, too"
                  : "this gateway hears nothing of that one, and takes the addresses, too";
  return fmt::format("keepalived{} does not run (no program speaks VRRP {}): {}", place_of(side), own ? "here" : "there", follows);
}

std::string keepalived_remedy(const PairSide& side) {
  return on_its_gateway(side, "systemctl status keepalived; systemctl restart keepalived");
}

std::string conntrackd_text(bool behind, const PairSide& side) {
  const bool own = side.peer.empty();
  const char* const receiver = own == side.standby ? "this gateway" : "the other gateway";
  return fmt::format("conntrackd{} {}: {} gets {}, and they break when it takes over", place_of(side),
                     behind ? "hangs, or is too slow for what conntrack tells it" : "does not run", receiver,
                     behind ? "the newest connections late or never" : "no copies of new connections");
}

std::string conntrackd_remedy(bool behind, const PairSide& side) {
  return on_its_gateway(side, behind ? "systemctl restart conntrackd; if it comes again, a greater NetlinkBufferSize in conntrackd.conf"
                                     : "systemctl restart conntrackd");
}

} // namespace hanat
