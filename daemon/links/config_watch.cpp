// The files are read only when their status has changed.
#include "daemon/links/config_watch.hpp"

#include <utility>

#include "daemon/util/credentials.hpp"

namespace hanat {
namespace {

constexpr std::uint64_t period_ms = 2000;

} // namespace

ConfigWatch::ConfigWatch(uv_loop_t* loop, std::filesystem::path file, std::function<void(bool)> changed)
    : file_(std::move(file)), changed_(std::move(changed)), timer_(make_timer(loop, this)),
      thread_(
          loop, [this] { looked(); }, WorkerThread::AtEnd::leave) {
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<ConfigWatch*>(timer->data)->look(); }, period_ms, period_ms);
}

void ConfigWatch::set_in_use(std::uint64_t content) {
  in_use_ = content;
  differs_ = false;
}

void ConfigWatch::look() {
  if (thread_.busy()) return;
  const auto job = [look = look_, file = file_] {
    refresh_user_names();
    auto status = config_file_status(file); // before their content: what changes in between is seen the next time
    if (status == look->status) return;
    look->status = std::move(status);
    look->content = config_content_hash(file);
  };
  if (thread_.run(job, Clock::duration::zero())) looked();
}

void ConfigWatch::looked() {
  const bool differs = look_->content != in_use_;
  if (differs != std::exchange(differs_, differs)) changed_(differs);
}

} // namespace hanat
