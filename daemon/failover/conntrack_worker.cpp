// uv_queue_work around nat::Cutter and nat::Nudger.
#include "daemon/failover/conntrack_worker.hpp"

#include <ctime>
#include <system_error>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

// The loop, and the packets that this machine forwards, come first: a cut of 100,000 flows is half a second of work.
constexpr int niceness = 5;

/// Of this thread alone, which does nothing else.
void be_modest() { setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness); }

/// Of this thread, the kernel's work for it included.
std::chrono::microseconds time_spent() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::seconds{spent.tv_sec} +
                                                               std::chrono::nanoseconds{spent.tv_nsec});
}

} // namespace

ConntrackWorker::ConntrackWorker(uv_loop_t* loop, nat::Cutter cutter, std::optional<ClientNotifier> notifier, Done done)
    : loop_(loop), cutter_(std::move(cutter)), notifier_(std::move(notifier)), done_(std::move(done)) {
  request_.data = this;
}
ConntrackWorker::~ConntrackWorker() {
  cancelled_ = true;
  done_ = {};
  while (busy_) uv_run(loop_, UV_RUN_ONCE); // the thread works on this object
}

void ConntrackWorker::start(CutJob job) {
  job_ = std::move(job);
  cancelled_ = false;
  busy_ = true;
  result_ = {};
  uv_queue_work(
      loop_, &request_, [](uv_work_t* request) { static_cast<ConntrackWorker*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        auto* self = static_cast<ConntrackWorker*>(request->data);
        self->busy_ = false;
        if (self->done_) self->done_(std::exchange(self->result_, {}));
      });
}

void ConntrackWorker::work() {
  be_modest();
  const auto began = std::chrono::steady_clock::now();
  const auto spent_before = time_spent();
  try {
    cutter_.cut(job_.cut, job_.protocols, cancelled_,
                [this](const Mapping& mapping, std::uint64_t number) { result_.deleted[mapping] += number; });
    cut_reconnecting();
    nudge_held();
    cut_unconnected();
    if (!job_.count.empty()) result_.counted = cutter_.count(job_.count, cancelled_);
    if (job_.expected) result_.unexpected = cutter_.unexpected(*job_.expected, cancelled_);
  } catch (const std::exception& error) {
    result_.failure = error.what();
  }
  result_.cancelled = cancelled_;
  result_.spent = time_spent() - spent_before;
  result_.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
}

/// Clients whose first SYN was refused, and who wait for their own timer.
void ConntrackWorker::nudge_held() try {
  if (!notifier_ || job_.nudge.empty() || cancelled_) return;
  std::map<Vip, const Mapping*> by_vip;
  for (const Mapping& mapping : job_.nudge) by_vip[mapping.vip] = &mapping;
  std::vector<nat::TcpClient> clients;
  for (const auto& [vip, client] : notifier_->held.read())
    if (const auto found = find_covering(by_vip, Vip{.address = vip.address, .protocol = Protocol::tcp, .port = vip.port});
        found != by_vip.end())
      clients.push_back({.mapping = *found->second, .vip = vip, .client = client});
  nudge(clients);
} catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): no table, nobody is held; the others are notified all the same
}

/// Clients that connect again from the port of their old connection. The nudge makes each send at once the SYN that the guard dropped.
void ConntrackWorker::cut_reconnecting() {
  if (job_.reconnecting.empty()) return;
  std::vector<nat::TcpClient> clients = cutter_.cut_clients(
      job_.reconnecting, cancelled_, [this](const Mapping& mapping, std::uint64_t number) { result_.reconnected[mapping] += number; });
  std::erase_if(clients, [this](const nat::TcpClient& client) { return job_.not_nudged.contains(client.mapping); });
  send(clients);
}

void ConntrackWorker::cut_unconnected() {
  if (job_.cut_unconnected.empty()) return;
  const nat::TcpClients clients = cutter_.cut_unconnected(
      job_.cut_unconnected, cancelled_, [this](const Mapping& mapping, std::uint64_t number) { result_.deleted[mapping] += number; });
  nudge(clients.unconnected); // they wait for a connection, the others for the next answer
  nudge(clients.connected);
}

void ConntrackWorker::nudge(std::span<const nat::TcpClient> clients) {
  if (!notifier_) return;
  std::vector<nat::TcpClient> chosen;
  for (const nat::TcpClient& client : clients) {
    if (!job_.nudge.contains(client.mapping)) continue;
    chosen.push_back(client);
    ++result_.nudged[client.mapping];
  }
  send(chosen);
}

void ConntrackWorker::send(std::span<const nat::TcpClient> clients) {
  if (!notifier_) return;
  std::vector<nat::Nudge> nudges;
  for (const nat::TcpClient& client : clients) nudges.push_back({.from = client.vip, .to = client.client});
  notifier_->nudger.send(nudges, cancelled_);
}

} // namespace hanat
