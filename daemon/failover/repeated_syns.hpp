// Whether a SYN that a client repeats means what the table takes it for. Conntrack is asked for these few flows only, so that connections
// that need no second SYN pay for none of this.
//   undelivered: conntrack had no entry of the first SYN. But a client may use its port again within seconds, and then the first one
//     belonged to a connection that has ended: conntrack has an entry by now if this one was delivered.
//   unacknowledged: a server has accepted, and the client asks again. A reply that was lost on its way is sent again, too, and the client
//     is connected a moment later: conntrack still waits for its acknowledgement if this reply was lost as well.
// Not here: what it means that clients wait (client_evidence).
#pragma once

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include <uv.h>

#include "daemon/util/worker_thread.hpp"
#include "nat/clock.hpp"
#include "nat/conntrack/socket.hpp"
#include "probes/io/uv.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

/// Between the source of kernel events and who they are for. Holds these SYNs back until conntrack was asked; passes all others on.
class RepeatedSyns {
public:
  static constexpr std::size_t waiting_at_most = 256; // the table logs ten of each a second; without room they are forgotten
  using LookUp = std::function<nat::KnownFlow(const nat::Tuple& original, std::uint16_t zone)>; // on a thread of its own; may throw

  RepeatedSyns(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event);
  ~RepeatedSyns();
  RepeatedSyns(const RepeatedSyns&) = delete;
  RepeatedSyns& operator=(const RepeatedSyns&) = delete;

  void on_event(const probes::KernelEvent& event);

private:
  struct Waiting {
    probes::KernelEvent event;
    Time due{};
  };
  void look_up_soon();
  void start();
  void work();
  void found();

  LookUp look_up_;
  probes::OnKernelEvent on_event_;
  std::vector<Waiting> waiting_;
  std::vector<probes::KernelEvent> looked_up_; // the thread's while it works; then without those that mean nothing
  UvHandle<uv_timer_t> timer_;
  WorkerThread thread_;
};

} // namespace hanat
