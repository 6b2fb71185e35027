// What becomes of the SYNs that clients repeat. The table logs them, but it does not know whether the first one was delivered (a client may
// use its port again within seconds), nor whether a client is answered in the end: conntrack does, and is asked for these few flows only.
// So connections that need no second SYN pay for none of this. Not here: what it means that clients wait (client_evidence).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <uv.h>

#include "daemon/util/worker_thread.hpp"
#include "nat/conntrack/socket.hpp"
#include "probes/io/uv.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

/// Between the source of kernel events and who they are for. Passes them on, but an undelivered SYN only when conntrack has no entry for it
/// either; and adds the event that a client is answered.
class RepeatedSyns {
public:
  static constexpr std::size_t flows_at_most = 1'024; // looked up; further ones are passed on as if none were ever answered
  using LookUp = std::function<nat::KnownFlow(const nat::Tuple& original, std::uint16_t zone)>; // on a thread of its own; may throw

  RepeatedSyns(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event);
  ~RepeatedSyns();
  RepeatedSyns(const RepeatedSyns&) = delete;
  RepeatedSyns& operator=(const RepeatedSyns&) = delete;

  void on_event(const probes::KernelEvent& event);

private:
  using Key = std::pair<Endpoint, Vip>; // the client and where it connects to
  struct Flow {
    Time repeated_at{};
    std::uint16_t zone = 0;
    bool passed_on = false;                                 // a SYN of it
    std::optional<probes::KernelEvent> held = std::nullopt; // undelivered, unless conntrack knows better
  };
  struct Looked {
    Key key;
    std::uint16_t zone = 0;
    std::optional<nat::KnownFlow> known; // nullopt: conntrack could not be read
  };
  void look_up_within(Clock::duration delay);
  void start();
  void work();
  void found();
  /// False: nothing more is to be found out about the flow.
  bool update(const Key& key, Flow& flow, nat::KnownFlow known);

  LookUp look_up_;
  probes::OnKernelEvent on_event_;
  std::map<Key, Flow> flows_;
  std::vector<Looked> looked_; // the thread's while it works
  std::optional<Time> due_;
  UvHandle<uv_timer_t> timer_;
  WorkerThread thread_;
};

} // namespace hanat
