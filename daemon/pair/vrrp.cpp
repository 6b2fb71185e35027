// Reads /proc/net/raw: sockets, one a line, whose "local port" is their protocol. keepalived keeps two for each of its instances as long as
// their interface exists, in each state: also in FAULT, with unicast and with use_vmac.
#include "daemon/pair/vrrp.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace hanat {
namespace {

constexpr unsigned long vrrp = 112; // the protocol's number

// A restart of keepalived takes about a second.
constexpr int readings_to_lose = 3;
// Where only the other gateway has it: when a machine boots, keepalived may wait for the network.
constexpr int readings_to_miss = 30;

std::string text_of(const char* path) {
  std::ifstream from{path};
  return {std::istreambuf_iterator<char>{from}, {}};
}

} // namespace

std::string_view to_text(Vrrp state) {
  switch (state) {
  case Vrrp::unknown: return "unknown";
  case Vrrp::ok: return "ok";
  case Vrrp::absent: return "absent";
  }
  return {};
}

std::optional<bool> has_vrrp_socket(std::string_view sockets) {
  std::istringstream lines{std::string{sockets}};
  std::string line;
  if (!std::getline(lines, line)) return std::nullopt; // names of the columns
  while (std::getline(lines, line)) {
    std::istringstream words{line};
    std::string slot, local;
    words >> slot >> local;
    const auto colon = local.rfind(':');
    if (colon != std::string::npos && std::strtoul(local.c_str() + colon + 1, nullptr, 16) == vrrp) return true;
  }
  return false;
}

std::optional<bool> read_vrrp() {
  const auto ipv4 = has_vrrp_socket(text_of("/proc/thread-self/net/raw"));
  const auto ipv6 = has_vrrp_socket(text_of("/proc/thread-self/net/raw6")); // absent where the kernel has no IPv6
  if (!ipv4 && !ipv6) return std::nullopt;
  return ipv4.value_or(false) || ipv6.value_or(false);
}

Vrrp VrrpJudge::take(const std::optional<bool>& spoken, bool expected) {
  if (!spoken) return state_;
  if (*spoken) {
    seen_ = true;
    missing_ = 0;
    return state_ = Vrrp::ok;
  }
  ++missing_;
  if (seen_ ? missing_ >= readings_to_lose : expected && missing_ >= readings_to_miss) {
    seen_ = true;
    state_ = Vrrp::absent;
  }
  return state_;
}

} // namespace hanat
