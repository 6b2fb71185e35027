// Whether a SYN that a client repeats was really not delivered. The table logs SYNs that were repeated while conntrack had no entry of the
// first; but a client may use its port again within seconds, and then the first one belonged to a connection that has ended. Conntrack has
// an entry by now if this one was delivered, and is asked for these few flows only: connections that need no second SYN pay for none of
// this. Not here: what it means that clients wait (client_evidence).
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include <uv.h>

#include "daemon/util/worker_thread.hpp"
#include "nat/conntrack/socket.hpp"
#include "probes/io/uv.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

/// Between the source of kernel events and who they are for. Holds undelivered SYNs back until conntrack was asked; passes others on.
class UndeliveredSyns {
public:
  static constexpr std::size_t waiting_at_most = 256; // the table logs ten a second; without room they are forgotten
  using LookUp = std::function<nat::KnownFlow(const nat::Tuple& original, std::uint16_t zone)>; // on a thread of its own; may throw

  UndeliveredSyns(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event);
  ~UndeliveredSyns();
  UndeliveredSyns(const UndeliveredSyns&) = delete;
  UndeliveredSyns& operator=(const UndeliveredSyns&) = delete;

  void on_event(const probes::KernelEvent& event);

private:
  void look_up_soon();
  void start();
  void work();
  void found();

  LookUp look_up_;
  probes::OnKernelEvent on_event_;
  std::vector<probes::KernelEvent> waiting_, looked_up_; // the second is the thread's while it works; then without those that have entries
  UvHandle<uv_timer_t> timer_;
  WorkerThread thread_;
};

} // namespace hanat
