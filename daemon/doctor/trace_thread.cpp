// poll() on the orders and on the reports.
#include "daemon/doctor/trace_thread.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <memory>
#include <set>
#include <system_error>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/doctor/culprit.hpp"

namespace hanat {
namespace {

Fd make_eventfd() {
  Fd fd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!fd) throw std::system_error(errno, std::generic_category(), "make an eventfd");
  return fd;
}

} // namespace

TraceThread::TraceThread(std::string table, std::function<void()> wake)
    : table_(std::move(table)), wake_(std::move(wake)), ordered_(make_eventfd()), collector_(nat::trace_table_of(table_)),
      thread_([this] { work(); }) {}

TraceThread::~TraceThread() {
  order([](Orders& orders) { orders.stop = true; });
  thread_.join();
}

void TraceThread::order(const std::function<void(Orders&)>& change) {
  {
    const std::lock_guard lock{mutex_};
    change(orders_);
  }
  const std::uint64_t one = 1;
  static_cast<void>(::write(ordered_.get(), &one, sizeof one)); // fails only when it is readable already
}

void TraceThread::start(Tracer::Id id, const TraceRequest& request) {
  order([&](Orders& orders) { orders.starts.emplace_back(id, request); });
}
void TraceThread::cancel(Tracer::Id id) {
  order([&](Orders& orders) { orders.cancels.push_back(id); });
}

std::vector<TraceThread::News> TraceThread::take_news() {
  const std::lock_guard lock{mutex_};
  return std::exchange(news_, {});
}

TraceThread::Orders TraceThread::take_orders() {
  std::uint64_t count = 0;
  static_cast<void>(::read(ordered_.get(), &count, sizeof count));
  const std::lock_guard lock{mutex_};
  const bool stop = orders_.stop;
  Orders taken = std::exchange(orders_, {});
  orders_.stop = stop;
  return taken;
}

void TraceThread::tell(News news) {
  {
    const std::lock_guard lock{mutex_};
    news_.push_back(std::move(news));
  }
  wake_();
}

void TraceThread::work() {
  while (true) try {
      if (!turn()) return;
    } catch (const std::exception& error) {
      fail_all(error.what());
    }
}

/// False: stop.
bool TraceThread::turn() {
  wait();
  Orders orders = take_orders();
  if (orders.stop) {
    trace_table_.reset(); // with its socket the kernel removes the table
    return false;
  }
  for (const auto& [id, request] : orders.starts) begin(id, request);
  for (const Tracer::Id id : orders.cancels) end(id);
  if (reader_) read_reports();
  end_sessions();
  return true;
}

void TraceThread::wait() const {
  std::array<pollfd, 2> fds{{{.fd = ordered_.get(), .events = POLLIN, .revents = 0}, {.fd = -1, .events = POLLIN, .revents = 0}}};
  if (reader_) fds[1].fd = reader_->fd();
  auto end = Clock::time_point::max();
  for (const auto& [id, session] : sessions_)
    end = std::min(end, end_of(session, packets_of(session, collector_), nat::trace_table_of(table_)));
  int timeout = -1;
  if (!sessions_.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    timeout = static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, Tracer::longest.count()));
  }
  poll(fds.data(), fds.size(), timeout); // an error is like a wake-up for nothing
}

void TraceThread::begin(Tracer::Id id, const TraceRequest& request) {
  try {
    if (!reader_) reader_ = std::make_unique<nat::TraceReader>();
    if (!trace_table_) trace_table_ = std::make_unique<nat::TraceTable>(table_);
    const auto now = Clock::now();
    trace_table_->add(request.traced);
    sessions_[id] = {.traced = request.traced, .begun = now, .deadline = now + std::min(request.limit, Tracer::longest)};
    tell({.id = id});
  } catch (const std::system_error& error) {
    TraceResult result;
    result.error = error.what();
    tell({.id = id, .result = std::move(result)});
    end(id);
  }
}

void TraceThread::read_reports() {
  const auto now = Clock::now();
  lost_reports_ |= !reader_->read([&](nat::TraceStep step) { collector_.add(std::move(step), now); });
}

void TraceThread::end_sessions() {
  const std::string trace_table = nat::trace_table_of(table_);
  std::vector<std::pair<Tracer::Id, std::vector<TracedPacket>>> ended;
  for (const auto& [id, session] : sessions_) {
    const auto collected = packets_of(session, collector_);
    if (end_of(session, collected, trace_table) > Clock::now()) continue;
    auto& packets = ended.emplace_back(id, std::vector<TracedPacket>{}).second;
    for (const auto& one : collected) packets.push_back(one.packet);
  }
  for (auto& [id, packets] : ended) {
    const bool incomplete = lost_reports_;
    end(id); // reading rules may take a moment, and tracing costs others
    TraceResult result{.packets = std::move(packets), .ruleset = {}, .incomplete = incomplete, .error = {}};
    try {
      if (!result.packets.empty()) result.ruleset = nat::read_ruleset(chains_in(result.packets, trace_table));
    } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): then rules are named by their handles
    }
    tell({.id = id, .result = std::move(result)});
  }
}

/// The last one takes the table and the sockets with it.
void TraceThread::end(Tracer::Id id) {
  if (const auto session = sessions_.find(id); session != sessions_.end()) {
    const nat::TracedClient traced = session->second.traced;
    sessions_.erase(session);
    try {
      trace_table_->remove(traced);
    } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): an element expires, and the table goes with its socket
    }
  }
  if (!sessions_.empty()) return;
  trace_table_.reset();
  reader_.reset();
  collector_.clear();
  lost_reports_ = false;
}

void TraceThread::fail_all(const std::string& error) {
  for (const auto& [id, session] : std::exchange(sessions_, {})) {
    TraceResult result;
    result.error = error;
    tell({.id = id, .result = std::move(result)});
  }
  trace_table_.reset();
  reader_.reset();
  collector_.clear();
}

} // namespace hanat
