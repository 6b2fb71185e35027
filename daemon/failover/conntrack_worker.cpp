// uv_queue_work around nat::Cutter and nat::Nudger.
#include "daemon/failover/conntrack_worker.hpp"

#include <cstddef>
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
    record();
    cut_recorded();
    const bool cuts_later = job_.scope == nat::FlowScope::others;
    if (!cuts_later) cut();
    cut_reconnecting();
    nudge_held();
    cut_unconnected(nat::FlowScope::clients);
    if (cuts_later) cut();
    cut_unconnected(nat::FlowScope::others);
    if (!job_.count.empty()) result_.counted = cutter_.count(job_.count, cancelled_);
    if (job_.expected) result_.unexpected = cutter_.unexpected(*job_.expected, cancelled_);
  } catch (const std::exception& error) {
    result_.failure = error.what();
  }
  result_.cancelled = cancelled_;
  result_.spent = time_spent() - spent_before;
  result_.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
}

nat::OnDeleted ConntrackWorker::count_deleted() {
  return [this](const Mapping& mapping, const nat::Deleted& deleted) {
    nat::Deleted& sum = result_.deleted[mapping];
    sum.entries += deleted.entries;
    sum.offloaded += deleted.offloaded;
    sum.busy += deleted.busy;
  };
}

void ConntrackWorker::record() {
  if (job_.record.empty() && job_.record_by_server.empty()) return;
  if (auto recorded = cutter_.record(job_.record, job_.record_by_server, cancelled_))
    result_.recorded = std::make_shared<const nat::RecordedFlows>(std::move(*recorded));
}

/// The clients' entries are gone when they reply to a nudge: the guard resets what has none, for a while after the endpoint changed.
void ConntrackWorker::cut_recorded() {
  for (const auto& recorded : job_.recorded) {
    cutter_.cut(*recorded, job_.cut_recorded, cancelled_, count_deleted());
    nat::TcpClients clients;
    for (const nat::RecordedFlows::Flow& flow : recorded->flows()) {
      if (flow.mapping.vip.protocol != Protocol::tcp) continue;
      auto& list = flow.phase == nat::TcpPhase::established ? clients.connected : clients.cut;
      list.push_back({.mapping = flow.mapping, .vip = flow.vip, .client = flow.client});
    }
    nudge(clients);
  }
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
  nudge(clients, nat::Segment::ack);
} catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): no table, nobody is held; the others are notified all the same
}

void ConntrackWorker::cut() { cutter_.cut(job_.cut, job_.protocols, job_.scope, cancelled_, count_deleted()); }

/// Clients that connect again from the port of their old connection. The nudge makes each send at once the SYN that the guard dropped.
void ConntrackWorker::cut_reconnecting() {
  send(job_.waiting);
  if (job_.reconnecting.empty()) return;
  std::vector<nat::TcpClient> clients =
      cutter_.cut_clients(job_.reconnecting, cancelled_,
                          [this](const Mapping& mapping, const nat::Deleted& deleted) { result_.reconnected[mapping] += deleted.entries; });
  std::erase_if(clients, [this](const nat::TcpClient& client) { return job_.not_nudged.contains(client.mapping); });
  send(clients);
}

void ConntrackWorker::cut_unconnected(nat::FlowScope scope) {
  using nat::Connected;
  for (const auto& [mappings, connected] :
       {std::pair{&job_.cut_offloaded, Connected::cut}, std::pair{&job_.cut_unconnected, Connected::keep_unless_offloaded}})
    if (!mappings->empty()) nudge(cutter_.cut_unconnected(*mappings, scope, cancelled_, count_deleted(), connected));
}

/// Two packets per connected client, one round after the other: an ACK, which every client replies to that it reaches, and then what
/// routers on the way pass on. A client that has both replies to one of them (Linux: to one of these in half a second).
void ConntrackWorker::nudge(const nat::TcpClients& clients) {
  nudge(clients.cut, nat::Segment::ack); // most of them wait for a connection, the others for the next answer
  for (const nat::Segment segment : {nat::Segment::ack, nat::Segment::syn_ack})
    for (const auto* connected : {&clients.cut_connected, &clients.connected}) nudge(*connected, segment);
}

void ConntrackWorker::nudge(std::span<const nat::TcpClient> clients, nat::Segment segment) {
  if (!notifier_) return;
  std::vector<nat::Nudge> nudges;
  std::vector<const Mapping*> mappings;
  for (const auto& [mapping, vip, client] : clients) {
    if (!job_.nudge.contains(mapping)) continue;
    nudges.push_back({.from = vip, .to = client, .segment = segment});
    mappings.push_back(&mapping);
  }
  const std::vector<bool> sent = notifier_->nudger.send(nudges, cancelled_);
  if (segment != nat::Segment::ack) return; // each client counts once
  for (std::size_t index = 0; index < sent.size(); ++index)
    if (sent[index]) ++result_.nudged[*mappings[index]];
}

void ConntrackWorker::send(std::span<const nat::TcpClient> clients) {
  if (!notifier_) return;
  std::vector<nat::Nudge> nudges;
  for (const nat::TcpClient& client : clients) nudges.push_back({.from = client.vip, .to = client.client, .segment = nat::Segment::ack});
  notifier_->nudger.send(nudges, cancelled_);
}

} // namespace hanat
