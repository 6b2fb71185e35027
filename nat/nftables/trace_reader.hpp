// Reads the reports of nf_tables about traced packets, in the calling thread's network namespace. They are of every traced packet, also of
// those that somebody else traces. Not here: what a report says (trace_step), which packets are traced (trace_table).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "nat/netlink.hpp"
#include "nat/nftables/trace_step.hpp"

namespace hanat::nat {

class TraceReader {
public:
  /// Throws std::system_error.
  explicit TraceReader(std::size_t buffer_bytes = std::size_t{4} << 20);

  /// Becomes readable with reports.
  int fd() const { return socket_.fd(); }
  /// Reads what is queued, without waiting. Returns false if reports were lost.
  bool read(const std::function<void(TraceStep)>& on_step);

private:
  const std::string& name_of_interface(std::uint32_t number);

  Netlink socket_;
  std::map<std::uint32_t, std::string> interfaces_; // a look-up is a system call or two
};

} // namespace hanat::nat
