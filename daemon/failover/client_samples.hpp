// Whether clients are served: conntrack is asked of a few new connections, a moment after their first SYN. Nobody else pays for that.
// Not here: which connections (nat/nftables/ruleset_evidence), what it means that clients wait (decision/client_waits).
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include <uv.h>

#include "daemon/util/worker_thread.hpp"
#include "nat/clock.hpp"
#include "nat/conntrack/socket.hpp"
#include "probes/io/uv.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

/// Between the source of kernel events and who they are for. Holds `opened` back, until it has become `served`, `pending` or `unaccepted`,
/// or is forgotten, since conntrack knows nothing of it; passes all others on.
class ClientSamples {
public:
  static constexpr Clock::duration asked_after = std::chrono::milliseconds{50}; // most services have answered a first request by then
  static constexpr std::size_t waiting_at_most = 256;                           // the table logs 50 a second
  using LookUp = std::function<nat::KnownFlow(const nat::Tuple& original, std::uint16_t zone)>; // on a thread of its own; may throw

  ClientSamples(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event);
  ~ClientSamples();
  ClientSamples(const ClientSamples&) = delete;
  ClientSamples& operator=(const ClientSamples&) = delete;

  void on_event(const probes::KernelEvent& event);

private:
  struct Sample {
    probes::KernelEvent event;
    nat::Tuple original; // of its flow
    Time due{};
    nat::KnownFlow known = nat::KnownFlow::none;
  };
  void ask_soon();
  void start();
  void ask();
  void tell();

  LookUp look_up_;
  probes::OnKernelEvent on_event_;
  std::deque<Sample> waiting_; // by their time
  std::vector<Sample> asked_;  // the thread's while it works
  UvHandle<uv_timer_t> timer_;
  WorkerThread thread_;
};

} // namespace hanat
