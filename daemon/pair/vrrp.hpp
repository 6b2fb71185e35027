// Whether a program on this gateway speaks VRRP, as keepalived does: then it takes the pair's address when the other gateway is silent. The
// kernel's list of raw sockets says so. Not here: when it is read (program_monitor), what follows (report, doctor).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hanat {

enum class Vrrp : std::uint8_t {
  unknown, // none was ever seen: something else may move the address
  ok,
  absent, // there was one, or the other gateway has one
};
std::string_view to_text(Vrrp state);

/// From the text of /proc/net/raw or raw6. nullopt: it is none.
std::optional<bool> has_vrrp_socket(std::string_view sockets);
/// Of the calling thread's network namespace, IPv4 and IPv6. Reads files of the kernel's.
std::optional<bool> read_vrrp();

/// Judges by several readings, one after the other. Pure.
class VrrpJudge {
public:
  /// `expected`: the other gateway speaks it. Then it is missed here even where it was never seen, after a while.
  Vrrp take(const std::optional<bool>& spoken, bool expected);

private:
  bool seen_ = false;
  int missing_ = 0; // readings without it
  Vrrp state_ = Vrrp::unknown;
};

} // namespace hanat
