// Real clients that got no service, as the table's own chains log them: one nfnetlink_log group, each packet a signal at once.
// Not here: the rules that log, and how often they may (nat/layout).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <uv.h>

#include "nat/address.hpp"
#include "nat/netlink.hpp"
#include "probes/loop.hpp"
#include "probes/signals.hpp"

namespace hanat::probes {

/// What one logged packet says. `prefix` is the rule's, `packet` begins with the IP header of `family` and may be cut short. nullopt for a
/// packet that is not what its prefix promises.
std::optional<Signal> signal_in(std::string_view prefix, Family family, std::span<const std::uint8_t> packet);

class ClientLog {
public:
  /// Binds the group in the calling thread's network namespace. Throws std::system_error: EBUSY when somebody else reads it.
  ClientLog(uv_loop_t* loop, OnSignal on_signal, std::size_t buffer_bytes = std::size_t{1} << 18);
  ClientLog(const ClientLog&) = delete;
  ClientLog& operator=(const ClientLog&) = delete;

private:
  void bind();
  void on_readable();

  OnSignal on_signal_;
  nat::Netlink netlink_; // declared before its watcher, and so closed after it
  Poll poll_;
};

} // namespace hanat::probes
