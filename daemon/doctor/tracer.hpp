// Traces packets of a few clients at once: has nf_tables report their way, collects the reports, reads the rules that they met, and hands
// all that back on the loop. A thread of its own talks to the kernel, since transactions wait for other programs that change nftables.
// While nobody is traced there is neither a table nor a socket. Not here: what the reports mean (culprit).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/doctor/traced_packet.hpp"
#include "nat/nftables/foreign_rules.hpp"
#include "nat/nftables/trace_table.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

struct TraceRequest {
  nat::TracedClient traced;
  std::chrono::milliseconds limit{3'000}; // until the first packet is seen; at most Tracer::longest
};

struct TraceResult {
  std::vector<TracedPacket> packets; // of this client, in order; empty: it sent none
  nat::ForeignRuleset ruleset;       // every base chain, and the rules of the chains that the packets met
  bool incomplete = false;           // reports were lost
  std::string error;                 // why nothing could be traced; empty: it could
};

class TraceThread;

class Tracer {
public:
  using Id = std::uint64_t;
  using OnDone = std::function<void(TraceResult)>;
  using OnReady = std::function<void()>;

  /// `table`: the name of hanat's table. Traces in the network namespace of the thread that calls start().
  Tracer(uv_loop_t* loop, std::string table);
  ~Tracer(); // ends every trace, without calling back
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  /// Begins to trace. Both callbacks are called on the loop: `on_ready` when packets are traced from now on, `on_done` once, when a packet
  /// was dropped or lost, when a reply came through, a second after a request went out without one, or at the limit. nullopt: already
  /// at_most clients are traced; ask again later. Does not throw for the kernel's refusals: those are in the result.
  std::optional<Id> start(const TraceRequest& request, OnDone on_done, OnReady on_ready = {});
  /// Ends a trace without calling back. An unknown id is fine.
  void cancel(Id id);
  std::size_t active() const { return pending_.size(); }

  static constexpr std::size_t at_most = 8;
  static constexpr std::chrono::milliseconds longest{30'000};

private:
  struct Pending {
    OnDone on_done;
    OnReady on_ready;
  };
  void on_news();

  std::string table_;
  std::map<Id, Pending> pending_;
  Id last_id_ = 0;
  UvHandle<uv_async_t> news_;
  std::unique_ptr<TraceThread> thread_; // from the first trace on
};

} // namespace hanat
