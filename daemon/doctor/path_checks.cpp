// A timer per period, and batches on a worker thread with a pause between them.
#include "daemon/doctor/path_checks.hpp"

#include <algorithm>
#include <utility>

#include "daemon/doctor/synthetic_client.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t batch_size = 250;        // flows for which one veth pair is made
constexpr Clock::duration most_spacing = 20ms; // a few services are checked at once
constexpr std::size_t most_at_once = 8;        // examined in one go
constexpr unsigned most_examinations = 4;      // of one batch

std::uint64_t milliseconds_of(Clock::duration time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(time).count(), 1));
}

} // namespace

struct PathChecks::Batch {
  std::vector<ServiceCheck> services;
  std::vector<ClientFlow> flows;
  std::vector<std::size_t> service_of; // each flow
  std::vector<FlowResult> results;
  std::string failure;
};

/// Services of a batch whose client got no reply.
struct PathChecks::Silent {
  std::vector<ServiceCheck> waiting;
  unsigned examinations = 0;
  bool all_silent = true;                       // those that were examined
  std::optional<std::vector<Finding>> causes{}; // that they have in common
};

PathChecks::PathChecks(uv_loop_t* loop, std::string table, Doctor& doctor, Services services, Found found, Failed failed)
    : table_(std::move(table)), doctor_(doctor), services_(std::move(services)), found_(std::move(found)), failed_(std::move(failed)),
      timer_(make_timer(loop, this)), worker_(loop, [this] { on_batch_ended(); }) {}

PathChecks::~PathChecks() { cancelled_ = true; }

void PathChecks::set_period(std::optional<Clock::duration> period) {
  if (period == period_) return;
  period_ = period;
  pass_.clear();
  uv_timer_stop(timer_.get());
  if (!period_) return;
  const std::uint64_t repeat = milliseconds_of(*period_);
  // The first pass waits for the probes, which have to pass first.
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<PathChecks*>(timer->data)->begin_pass(); }, std::min<std::uint64_t>(repeat, 2'000),
      repeat);
}

void PathChecks::begin_pass() {
  if (!period_ || batch_ || !pass_.empty()) return; // the one before is not over yet
  pass_ = services_();
  std::erase_if(pass_, [](const ServiceCheck& service) { return !service.probes_pass || service.endpoints.empty(); });
  if (pass_.empty()) return;
  spacing_ = std::min(most_spacing, *period_ / 2 / static_cast<std::int64_t>(pass_.size()));
  next_batch();
}

void PathChecks::next_batch() {
  batch_ = std::make_unique<Batch>();
  while (!pass_.empty() && batch_->flows.size() < batch_size) {
    for (const EndpointCheck& endpoint : pass_.back().endpoints) {
      batch_->flows.push_back(flow_of(endpoint));
      batch_->service_of.push_back(batch_->services.size());
    }
    batch_->services.push_back(std::move(pass_.back()));
    pass_.pop_back();
  }
  const auto job = [this, batch = batch_.get()] {
    try {
      SyntheticClient client(table_, path_check_client(table_));
      batch->results = client.run(batch->flows, {.spacing = spacing_}, cancelled_);
    } catch (const std::exception& error) {
      batch->failure = error.what();
    }
  };
  if (worker_.run(job, Clock::duration::zero())) on_batch_ended();
}

void PathChecks::on_batch_ended() {
  const std::unique_ptr<Batch> batch = std::move(batch_);
  if (!batch || !period_) return;
  std::vector<bool> silent(batch->services.size());
  for (std::size_t flow = 0; flow < batch->results.size(); ++flow) {
    const FlowOutcome outcome = batch->results[flow].outcome;
    if (outcome != FlowOutcome::answered && outcome != FlowOutcome::not_sent) silent[batch->service_of[flow]] = true;
  }
  note_failure(batch->failure);
  auto left = std::make_shared<Silent>();
  for (std::size_t index = 0; index < batch->services.size(); ++index) {
    ServiceCheck& service = batch->services[index];
    if (silent[index])
      left->waiting.push_back(std::move(service));
    else
      found_(service.name, batch->failure.empty() ? std::optional{true} : std::nullopt, {});
  }
  examine(left);
  if (!pass_.empty()) next_batch();
}

/// Some at a time, until it is clear that the rest has the same cause.
void PathChecks::examine(const std::shared_ptr<Silent>& silent) {
  if (silent->waiting.empty()) return;
  const auto& causes = silent->causes;
  const bool same = silent->examinations > 0 && silent->all_silent && causes && !causes->empty();
  if (same || silent->examinations >= most_examinations) return report_rest(*silent);
  ++silent->examinations;
  std::vector<ServiceCheck> suspects;
  std::vector<std::string> names;
  while (!silent->waiting.empty() && suspects.size() < most_at_once) {
    names.push_back(silent->waiting.back().name);
    suspects.push_back(std::move(silent->waiting.back()));
    silent->waiting.pop_back();
  }
  const auto on_done = [this, alive = std::weak_ptr{alive_}, names, silent](const Diagnosis& diagnosis) {
    if (alive.expired() || !period_) return; // switched off meanwhile
    report(diagnosis, names, *silent);
    examine(silent);
  };
  if (doctor_.examine(std::move(suspects), on_done)) return;
  note_failure("as many examinations as hanatd takes wait already");
  for (const std::string& name : names) found_(name, std::nullopt, {});
  report_rest(*silent);
}

/// A finding of the whole gateway is told of each service that does not get through.
void PathChecks::report(const Diagnosis& diagnosis, const std::vector<std::string>& suspects, Silent& silent) {
  note_failure(diagnosis.failure);
  for (const std::string& name : suspects) {
    const auto checked = std::ranges::find(diagnosis.services, name, &Diagnosis::Checked::service);
    const bool was_sent = checked != diagnosis.services.end() && checked->sent > 0;
    const bool answered = was_sent && (checked->answered == checked->sent || checked->served); // it was a moment, or is about this client
    std::vector<Finding> found, shared;
    for (const Finding& finding : diagnosis.found) {
      if (!finding.service.empty() && finding.service != name) continue;
      const auto is_same = [&](const Finding& other) { return other.code == finding.code && other.what == finding.what; };
      if (!silent.causes || std::ranges::any_of(*silent.causes, is_same)) {
        shared.push_back(finding);
        shared.back().service.clear();
      }
      found.push_back(finding);
    }
    silent.all_silent &= was_sent && !answered;
    if (was_sent && !answered) silent.causes = std::move(shared);
    found_(name, was_sent ? std::optional{answered} : std::nullopt, std::move(found));
  }
}

void PathChecks::report_rest(Silent& silent) {
  const bool same = silent.all_silent && silent.causes && !silent.causes->empty();
  for (const ServiceCheck& service : silent.waiting)
    found_(service.name, same ? std::optional{false} : std::nullopt, same ? *silent.causes : std::vector<Finding>{});
  silent.waiting.clear();
}

void PathChecks::note_failure(const std::string& why) {
  if (std::exchange(failure_, why) != why && !why.empty() && failed_) failed_(why);
}

} // namespace hanat
