// Binds the writers to the controller.
#include "daemon/links/state_keeper.hpp"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/failover/saved_health.hpp"
#include "daemon/report/make_why.hpp"

namespace hanat {

StateKeeper::StateKeeper(uv_loop_t* loop, std::filesystem::path dir, Log log)
    : dir_(std::move(dir)), log_(std::move(log)),
      saved_health_(std::async(std::launch::async, [this] { return load_health(dir_); })), // a tenth of a second of ten thousand services
      writer_(
          loop, [this](const std::string& error) { log_(events::StateNotSaved{error}); },
          [this](const State& state) { save_state(dir_, state); }),
      health_writer_(loop, dir_,
                     {.describe = [this](const std::string& name) -> std::optional<SavedService> {
                        const ServiceState* const service = controller_->registry().find(name);
                        return service == nullptr ? std::nullopt : std::optional{saved_health(*service)};
                      },
                      .services =
                          [this] {
                            std::vector<std::string> names;
                            for (const auto& service : controller_->registry().services())
                              if (!service->removed) names.push_back(service->config->name);
                            return names;
                          },
                      .on_failure = [this](const std::string& error) { log_(events::StateNotSaved{error}); }}),
      track_file_(loop, [this](const std::string& error) { log_(events::TrackFileNotWritten{error}); }) {}

void StateKeeper::start(Controller& controller, NameLink& names, const std::shared_ptr<const Config>& config, const HistoryRing& history) {
  const LoadedState kept = load_state(dir_);
  const EarlierRun earlier{.health = saved_health_.get(), .boot = boot_id(), .wall = wall_now(), .targets = last_targets(history)};
  for (const std::string& warning : {kept.warning, earlier.health.warning})
    if (!warning.empty()) log_(events::Message{Level::warning, warning});
  follow(*config);
  names_ = &names;
  controller.start(*names.start(config, kept.state.names), kept.state, earlier);
  controller_ = &controller;
  health_writer_.begin();
}

void StateKeeper::save(const Controller& controller, Controller::Urgency urgency) {
  State state = controller.state();
  if (names_ != nullptr) state.names = names_->saved();
  urgency == Controller::Urgency::now ? writer_.save_now(std::move(state)) : writer_.save_soon(std::move(state));
}

void StateKeeper::health_changed(std::set<std::string> services) {
  if (controller_ != nullptr) health_writer_.note(std::move(services)); // before, begin() is still to come, which writes all
}

} // namespace hanat
