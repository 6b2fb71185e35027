// A timer, a set of names and a worker thread.
#include "daemon/state/health_writer.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Clock::duration soon = 20ms;    // what changes at one moment is one write, and the flip's own work comes first
constexpr Clock::duration apart = 100ms;  // two writes at least
constexpr std::size_t slice = 256;        // services: a millisecond of the loop
constexpr Clock::duration disk_wait = 3s; // at the end
constexpr std::size_t every_service = SIZE_MAX;

struct Batch {
  std::vector<SavedService> services;
  std::vector<std::string> gone;
  bool begins = false, complete = false;
  WallTime wall{};
  Time steady{};
};

std::string lines_of(const Batch& batch) {
  std::string lines;
  for (const SavedService& service : batch.services) lines += line_of(service);
  for (const std::string& service : batch.gone) lines += gone_line(service);
  return lines;
}

} // namespace

HealthWriter::HealthWriter(uv_loop_t* loop, std::filesystem::path dir, Source source)
    : source_(std::move(source)), file_(std::move(dir), boot_id()), timer_(make_timer(loop, this)), thread_(loop, [this] { ended(); }) {
  uv_unref(reinterpret_cast<uv_handle_t*>(timer_.get()));
}

void HealthWriter::begin() {
  start_anew();
  wake_in(soon);
}

void HealthWriter::note(std::set<std::string> services) {
  if (finished_) return;
  const bool first = unsaved_.empty();
  unsaved_.merge(services);
  if (first && !thread_.busy() && !failing_) wake_in(std::max<Clock::duration>(soon, written_at_ + apart - Clock::now()));
}

void HealthWriter::finish() {
  if (std::exchange(finished_, true)) return;
  uv_timer_stop(timer_.get());
  if (thread_.join(disk_wait)) ended();
  if (thread_.busy()) return; // it hangs
  for (std::string& service : source_.services()) unsaved_.insert(std::move(service));
  write(every_service);
  if (thread_.join(disk_wait)) ended();
}

void HealthWriter::write(std::size_t at_most) {
  const auto batch = std::make_shared<Batch>();
  while (!unsaved_.empty() && batch->services.size() + batch->gone.size() < at_most) {
    std::string name = std::move(unsaved_.extract(unsaved_.begin()).value());
    if (auto service = source_.describe(name))
      batch->services.push_back(std::move(*service));
    else
      batch->gone.push_back(std::move(name));
  }
  batch->begins = !std::exchange(is_open_, true);
  batch->complete = unsaved_.empty();
  batch->wall = wall_now();
  batch->steady = written_at_ = Clock::now();
  const auto job = [this, batch] {
    try {
      if (batch->begins) file_.begin();
      lost_ = file_.is_lost();
      if (lost_) return;
      if (const std::string lines = lines_of(*batch); !lines.empty()) file_.append(lines);
      if (batch->complete) file_.stamp(batch->wall, batch->steady);
    } catch (const std::exception& error) {
      error_ = error.what();
    }
  };
  if (thread_.run(job, Clock::duration::zero())) ended();
}

void HealthWriter::ended() {
  const std::string error = std::exchange(error_, {});
  if (!error.empty() && !std::exchange(failing_, true)) source_.on_failure(error);
  if (error.empty()) failing_ = false;
  if (!error.empty() || std::exchange(lost_, false)) start_anew();
  if (finished_) return;
  wake_in(unsaved_.empty() || failing_ ? Clock::duration{period} : apart);
}

/// After a failure nobody knows what the file holds.
void HealthWriter::start_anew() {
  is_open_ = false;
  for (std::string& service : source_.services()) unsaved_.insert(std::move(service));
}

void HealthWriter::wake_in(Clock::duration wait) {
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  uv_timer_start(
      timer_.get(),
      [](uv_timer_t* timer) {
        auto* const self = static_cast<HealthWriter*>(timer->data);
        if (!self->thread_.busy()) self->write(slice);
      },
      static_cast<std::uint64_t>(std::max<decltype(milliseconds)>(milliseconds, 0)), 0);
}

} // namespace hanat
