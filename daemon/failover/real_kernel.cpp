// Adapters, one line a call, and four handles of the loop.
#include "daemon/failover/real_kernel.hpp"

#include <algorithm>
#include <utility>

#include "daemon/pair/address_monitor.hpp"

namespace hanat {
namespace {

class KernelTable final : public Table {
public:
  explicit KernelTable(nat::NftTable table) : table_(std::move(table)) {}
  std::optional<nat::Loaded> read() override { return table_.read(); }
  void adopt(const nat::TableState& loaded) override { table_.adopt(loaded); }
  void load(const nat::TableState& state) override { table_.load(state); }
  void change(std::span<const nat::Step> steps, std::optional<bool> settling) override { table_.change(steps, settling); }
  void set_endpoints(nat::SetKind kind, const nat::EndpointMap& intended) override { table_.set_endpoints(kind, intended); }
  void heartbeat() override { table_.heartbeat(); }
  void set_notrack(bool on) override { table_.set_notrack(on); }
  bool is_notrack_set() const override { return table_.is_notrack_set(); }
  void set_flowtable(const std::optional<nat::Devices>& devices) override { table_.set_flowtable(devices); }
  bool has_flowtable() const override { return table_.has_flowtable(); }
  void set_probe_ports(const nat::ProbePorts& ports) override { table_.set_probe_ports(ports); }
  bool changed_by_others() override { return table_.changed_by_others(); }
  bool missed_a_commit() override { return table_.missed_a_commit(); }
  bool is_owned() const override { return table_.owns_table(); }
  void remove() override { table_.remove(); }
  int watch_fd() const { return table_.watch_fd(); }

private:
  nat::NftTable table_;
};

class Heartbeats final : public HeartbeatSender {
public:
  explicit Heartbeats(nat::HeartbeatSocket socket) : socket_(std::move(socket)) {}
  void send() override { socket_.send(); }

private:
  nat::HeartbeatSocket socket_;
};

class Commits final : public CommitThread {
public:
  Commits(uv_loop_t* loop, std::function<void()> ended) : thread_(loop, std::move(ended)) {}
  bool busy() const override { return thread_.busy(); }
  bool run(std::function<void()> job, Clock::duration wait) override { return thread_.run(std::move(job), wait); }
  void join() override { thread_.join(); }

private:
  WorkerThread thread_;
};

class Probes final : public ProbeScheduler {
public:
  Probes(uv_loop_t* loop, const KernelCallbacks& callbacks) : scheduler_(loop, callbacks.probe_result, callbacks.precheck) {}
  probes::ProbeId add(const probes::Probe& probe, probes::Rate rate, Clock::duration first_within) override {
    return scheduler_.add(probe, rate, first_within);
  }
  const probes::Probe& probe(probes::ProbeId id) const override { return scheduler_.probe(id); }
  void remove(probes::ProbeId id) override { scheduler_.remove(id); }
  void set_rate(probes::ProbeId id, probes::Rate rate) override { scheduler_.rate(id, rate); }
  void trigger(probes::ProbeId id) override { scheduler_.trigger(id); }

private:
  probes::Scheduler scheduler_;
};

class Paths final : public PathMonitor {
public:
  Paths(uv_loop_t* loop, const KernelCallbacks& callbacks)
      : samples_(loop, look_up(), callbacks.event),
        repeated_(loop, look_up(), [this](const probes::KernelEvent& event) { samples_.on_event(event); }),
        events_(loop, [this](const probes::KernelEvent& event) { repeated_.on_event(event); }) {}
  void add(const probes::Path& path) override { events_.routes().add(path); }
  void remove(const probes::Path& path) override { events_.routes().remove(path); }
  std::optional<probes::ProbeResult> unreachable(const probes::Path& path) override { return events_.routes().unreachable(path); }
  bool is_cut_off() override { return events_.routes().is_cut_off(); }
  const std::optional<std::string>& nflog_failure() const { return events_.nflog_failure(); }

private:
  /// On a thread of who asks; its socket is opened for the first SYN.
  static RepeatedSyns::LookUp look_up() {
    return [socket = std::make_shared<std::optional<nat::ConntrackSocket>>()](const nat::Tuple& original, std::uint16_t zone) {
      if (!*socket) socket->emplace();
      return (*socket)->look_up(original, zone);
    };
  }
  ClientSamples samples_;
  RepeatedSyns repeated_;
  probes::KernelEvents events_;
};

class Addresses final : public AddressWatch {
public:
  Addresses(uv_loop_t* loop, std::function<void()> changed) : monitor_(loop, std::move(changed)) {}
  void watch(const std::optional<Address>& address) override { monitor_.watch(address); }
  bool is_here() override { return monitor_.is_here(); }

private:
  AddressMonitor monitor_;
};

} // namespace

/// In the order in which they depend on each other.
struct RealKernel::Parts {
  KernelCallbacks callbacks;
  KernelTable table;
  Heartbeats heartbeats;
  std::unique_ptr<Paths> paths; // until stop()
  Addresses addresses;
  Probes probes;
  ConntrackWorker worker;
  Commits commits;
  UvHandle<uv_timer_t> timer;
  UvHandle<uv_poll_t> watch;
  UvHandle<uv_prepare_t> after_timers;
  UvHandle<uv_check_t> after_sockets;

  Parts(uv_loop_t* loop, nat::NftTable nft, nat::HeartbeatSocket heartbeat, nat::Cutter cutter, std::optional<ClientNotifier> notifier,
        KernelCallbacks all)
      : callbacks(std::move(all)), table(std::move(nft)), heartbeats(std::move(heartbeat)), paths(std::make_unique<Paths>(loop, callbacks)),
        addresses(loop, callbacks.address_changed), probes(loop, callbacks),
        worker(loop, std::move(cutter), std::move(notifier), callbacks.job_done), commits(loop, callbacks.commit_ended),
        timer(make_timer(loop, this)), watch(make_poll(loop, table.watch_fd(), this)), after_timers(make_prepare(loop, this)),
        after_sockets(make_check(loop, this)) {}
};

RealKernel::RealKernel(uv_loop_t* loop, nat::NftTable table, nat::HeartbeatSocket heartbeat, nat::Cutter cutter,
                       std::optional<ClientNotifier> notifier, KernelCallbacks callbacks)
    : parts_(std::make_unique<Parts>(loop, std::move(table), std::move(heartbeat), std::move(cutter), std::move(notifier),
                                     std::move(callbacks))) {
  uv_prepare_start(parts_->after_timers.get(), [](uv_prepare_t* turn) { static_cast<Parts*>(turn->data)->callbacks.turn(); });
  uv_check_start(parts_->after_sockets.get(), [](uv_check_t* turn) { static_cast<Parts*>(turn->data)->callbacks.turn(); });
}
RealKernel::~RealKernel() = default;

Table& RealKernel::table() { return parts_->table; }
HeartbeatSender& RealKernel::heartbeats() { return parts_->heartbeats; }
CommitThread& RealKernel::commits() { return parts_->commits; }
FlowWorker& RealKernel::flows() { return parts_->worker; }
ProbeScheduler& RealKernel::probes() { return parts_->probes; }
AddressWatch& RealKernel::addresses() { return parts_->addresses; }
PathMonitor& RealKernel::paths() { return *parts_->paths; }
const std::optional<std::string>& RealKernel::nflog_failure() const { return parts_->paths->nflog_failure(); }

void RealKernel::watch_commits(bool on) {
  uv_poll_t* watch = parts_->watch.get();
  if (on == (uv_is_active(reinterpret_cast<uv_handle_t*>(watch)) != 0)) return;
  if (on)
    uv_poll_start(watch, UV_READABLE, [](uv_poll_t* poll, int, int) { static_cast<Parts*>(poll->data)->callbacks.commit_made(); });
  else
    uv_poll_stop(watch);
}

void RealKernel::wake_at(Time moment, Time now) {
  using std::chrono::milliseconds;
  const auto wait = std::chrono::ceil<milliseconds>(std::max<Clock::duration>(moment - now, milliseconds{1}));
  uv_timer_start(
      parts_->timer.get(), [](uv_timer_t* timer) { static_cast<Parts*>(timer->data)->callbacks.timer_due(); },
      static_cast<std::uint64_t>(wait.count()), 0);
}

void RealKernel::wake_next_turn() {
  uv_timer_start(
      parts_->timer.get(), [](uv_timer_t* timer) { static_cast<Parts*>(timer->data)->callbacks.timer_due(); }, 0, 0);
}

void RealKernel::stop() {
  uv_timer_stop(parts_->timer.get());
  watch_commits(false);
  uv_prepare_stop(parts_->after_timers.get());
  uv_check_stop(parts_->after_sockets.get());
  parts_->paths.reset();
  parts_->addresses.watch(std::nullopt);
}

} // namespace hanat
