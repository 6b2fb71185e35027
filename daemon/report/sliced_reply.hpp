// A reply that is made of all services, a few per turn of the loop, once for all requests that wait: no request delays a flip. It may be
// kept for a moment, so that many viewers cost what one does. Not here: what the reply is (metrics_server).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/api/status.hpp"
#include "daemon/http/http_server.hpp"
#include "nat/clock.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

/// Where the status comes from.
struct StatusSource {
  std::function<DaemonStatus()> daemon;
  std::function<std::vector<std::string>()> names;
  std::function<std::optional<ServiceStatus>(const std::string&)> service; // nullopt: it was removed meanwhile
  std::function<std::vector<HistoryEntry>(std::size_t)> last_events;       // at most so many, oldest first
};

class SlicedReply {
public:
  /// What the reply is made with.
  class Text {
  public:
    virtual ~Text() = default;
    Text(const Text&) = delete;
    Text& operator=(const Text&) = delete;
    virtual void add(const ServiceStatus& service) = 0;
    virtual HttpReply take() = 0;

  protected:
    Text() = default;
  };
  using Begin = std::function<std::unique_ptr<Text>()>;

  /// `keep`: a reply may be so old.
  SlicedReply(uv_loop_t* loop, const StatusSource& source, Begin begin, Clock::duration keep = {});
  ~SlicedReply();
  SlicedReply(const SlicedReply&) = delete;
  SlicedReply& operator=(const SlicedReply&) = delete;

  void respond(const std::shared_ptr<HttpExchange>& exchange);

private:
  void begin();
  void add_some();
  void finish();

  const StatusSource& source_;
  Begin begin_;
  Clock::duration keep_;
  std::vector<std::shared_ptr<HttpExchange>> waiting_;
  std::unique_ptr<Text> text_; // while it is being made
  std::vector<std::string> names_;
  std::size_t next_ = 0;
  Clock::duration busy_{}; // so long it has taken of the loop
  std::optional<HttpReply> kept_;
  Time kept_until_{};
  UvHandle<uv_idle_t> turn_;
};

} // namespace hanat
