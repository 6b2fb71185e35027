// Jobs, each with what it needs and nothing of the store.
#include "daemon/links/config_store.hpp"

#include <exception>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>

#include "daemon/config/last_good_config.hpp"

namespace hanat {
namespace {

/// The calling thread, and no other, has the machine behind hanatd's loop, which may have a flip to make.
void step_back() {
  constexpr int priority = 10; // a tenth of the loop's share
  setpriority(PRIO_PROCESS, 0, priority);
}

/// Only a configuration of which there is a copy can be gone back to after a restart.
ReloadSteps::Trial trial_of(const ReadConfig& next, std::uint64_t confirmed, const std::string& state, const std::string& config) try {
  auto before = std::make_shared<const ReadConfig>(read_config(last_good_config(state, config)));
  if (!before->config || before->content != confirmed)
    return {.before = nullptr,
            .failure = fmt::format("{} has no copy of the configuration in use, to which hanatd could go back: make room there, then load "
                                   "the file as it was with hanatctl reload",
                                   state)};
  save_unconfirmed(state, next.content);
  return {.before = std::move(before), .failure = {}};
} catch (const std::exception& error) {
  return {.before = nullptr, .failure = fmt::format("the state directory does not take the note that it is on trial: {}", error.what())};
}

/// What went wrong; empty: nothing.
std::string copy(const ReadConfig& kept, const std::string& state) try {
  save_last_good(state, kept.files);
  forget_unconfirmed(state);
  return {};
} catch (const std::exception& error) {
  return error.what();
}

} // namespace

ConfigStore::ConfigStore(uv_loop_t* loop, std::string state, std::string config, ConfigPtr in_use)
    : state_(std::move(state)), config_(std::move(config)), last_(std::move(in_use)), confirmed_(last_->content),
      reads_(std::make_unique<JobQueue>(loop, WorkerThread::AtEnd::leave)), copies_(loop) {}

void ConfigStore::read(const std::function<void(ConfigPtr)>& done) {
  auto read = std::make_shared<ReadConfig>();
  const auto job = [read, file = config_, before = last_] {
    step_back();
    *read = read_config(file, before.get());
    check_hooks(*read, file);
  };
  reads_->run(job, [this, read, done] {
    if (read->config) last_ = read;
    done(read);
  });
}

void ConfigStore::begin_trial(const ConfigPtr& next, const std::function<void(ReloadSteps::Trial)>& done) {
  auto trial = std::make_shared<ReloadSteps::Trial>();
  copies_.run(
      [trial, next, confirmed = confirmed_, state = state_, config = config_] { *trial = trial_of(*next, confirmed, state, config); },
      [trial, done] { done(*trial); });
}

void ConfigStore::keep(const ConfigPtr& kept, const std::function<void(const std::string&)>& done) {
  confirmed_ = kept->content;
  auto failure = std::make_shared<std::string>();
  const auto job = [failure, kept, state = state_] {
    step_back();
    *failure = copy(*kept, state);
  };
  copies_.run(job, [failure, done] { done(*failure); });
}

void ConfigStore::stop() {
  copies_.finish();
  reads_.reset();
}

} // namespace hanat
