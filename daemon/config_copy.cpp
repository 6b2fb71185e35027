// One copy at a time; what changes meanwhile is copied after it.
#include "daemon/config_copy.hpp"

#include <exception>
#include <utility>

#include "daemon/config/last_good_config.hpp"

namespace hanat {

ConfigCopy::ConfigCopy(uv_loop_t* loop, std::string state, std::string config, std::function<void(const std::string&)> ended)
    : state_(std::move(state)), config_(std::move(config)), ended_(std::move(ended)), thread_(loop, [this] { copied(); }) {}

void ConfigCopy::start() {
  again_ = thread_.busy();
  if (again_) return;
  const auto job = [this] {
    try {
      save_last_good(state_, config_);
    } catch (const std::exception& error) {
      failure_ = error.what();
    }
  };
  if (thread_.run(job, Clock::duration::zero())) copied();
}

void ConfigCopy::finish() {
  again_ = false;
  while (thread_.join()) copied();
}

void ConfigCopy::copied() {
  ended_(std::exchange(failure_, {}));
  if (again_) start();
}

} // namespace hanat
