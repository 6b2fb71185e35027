// Reads the nflog group to which the table's own chains log packets of clients that got no service: each packet is a kernel event.
// Not here: the rules that log, and their rate limit (nat/nftables/ruleset).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <uv.h>

#include "nat/address.hpp"
#include "nat/conntrack/entry.hpp"
#include "nat/netlink.hpp"
#include "probes/io/uv.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat::probes {

/// The event of one logged packet. `prefix` is the rule's; `packet` starts with the IP header of `family` and may be truncated; `flow` is
/// the one that it belongs to. nullopt: the packet does not match its prefix.
std::optional<KernelEvent> event_in(std::string_view prefix, Family family, std::span<const std::uint8_t> packet,
                                    const std::optional<nat::FlowTuples>& flow = std::nullopt);

class NflogReader {
public:
  /// Binds the group in the calling thread's network namespace. Throws std::system_error: EBUSY when another program reads it.
  NflogReader(uv_loop_t* loop, OnKernelEvent on_event, std::size_t buffer_bytes = std::size_t{1} << 18);
  NflogReader(const NflogReader&) = delete;
  NflogReader& operator=(const NflogReader&) = delete;

private:
  void bind();
  void set_flags(std::uint16_t flags);
  void on_readable();

  OnKernelEvent on_event_;
  nat::Netlink netlink_; // declared before its poll handle, so closed after it
  Poll poll_;
};

} // namespace hanat::probes
