// The interfaces of this machine and their addresses, as rtnetlink tells them. Not here: what they mean (interface_table, fill_listen).
#pragma once

#include <functional>
#include <memory>

#include <uv.h>

#include "daemon/interfaces/interface_table.hpp"

namespace hanat {

class InterfaceMonitor {
public:
  /// In the calling thread's network namespace. Lists what is there before it returns. `on_change` is called on the loop. Throws
  /// std::system_error.
  InterfaceMonitor(uv_loop_t* loop, std::function<void()> on_change);
  ~InterfaceMonitor(); // the loop must run once more to close handles
  InterfaceMonitor(const InterfaceMonitor&) = delete;
  InterfaceMonitor& operator=(const InterfaceMonitor&) = delete;

  const InterfaceTable& table() const;
  /// Times that changes were lost and everything was listed again.
  unsigned lists() const;
  /// For tests: so small a buffer that changes are lost.
  void set_buffer(int bytes);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
