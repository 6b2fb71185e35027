// The thread behind Tracer: it owns the trace table and the socket with the reports while somebody is traced, and reads rules.
// Not here: callbacks on the loop (tracer), when a trace has seen enough (trace_session).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/doctor/trace_session.hpp"
#include "daemon/doctor/tracer.hpp"
#include "nat/fd.hpp"
#include "nat/nftables/trace_reader.hpp"
#include "nat/nftables/trace_table.hpp"

namespace hanat {

class TraceThread {
public:
  /// What the thread has to say: the trace is ready, or (with a result) has ended.
  struct News {
    Tracer::Id id = 0;
    std::optional<TraceResult> result{};
  };

  /// `wake` is called on the thread when there is news. Throws std::system_error.
  TraceThread(std::string table, std::function<void()> wake);
  ~TraceThread();
  TraceThread(const TraceThread&) = delete;
  TraceThread& operator=(const TraceThread&) = delete;

  void start(Tracer::Id id, const TraceRequest& request);
  void cancel(Tracer::Id id);
  std::vector<News> take_news();

private:
  struct Orders {
    std::vector<std::pair<Tracer::Id, TraceRequest>> starts;
    std::vector<Tracer::Id> cancels;
    bool stop = false;
  };
  void order(const std::function<void(Orders&)>& change);
  Orders take_orders();
  void work();
  bool turn();
  void wait() const;
  void begin(Tracer::Id id, const TraceRequest& request);
  void read_reports();
  void end_sessions();
  void end(Tracer::Id id);
  void fail_all(const std::string& error);
  void tell(News news);

  const std::string table_;
  const std::function<void()> wake_;
  const Fd ordered_; // an eventfd

  std::mutex mutex_;
  Orders orders_;
  std::vector<News> news_;

  // Used by the thread only.
  std::map<Tracer::Id, TraceSession> sessions_;
  std::unique_ptr<nat::TraceTable> trace_table_;
  std::unique_ptr<nat::TraceReader> reader_;
  PacketCollector collector_;
  bool lost_reports_ = false;

  std::thread thread_; // last, since it uses the others
};

} // namespace hanat
