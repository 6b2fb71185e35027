// Between the names of servers and everything that uses their addresses: a name with another address is a reload of the services that have
// it. Not here: DNS (names), what the reload does (failover/reload).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <uv.h>

#include "daemon/api/status.hpp"
#include "daemon/config/config.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/names/look_up.hpp"
#include "daemon/names/names.hpp"
#include "daemon/report/event.hpp"
#include "daemon/state/state_file.hpp"

namespace hanat {

class NameLink {
public:
  using Publish = std::function<void(events::Payload what)>;
  NameLink(uv_loop_t* loop, Controller& controller, Publish publish);

  /// The configuration with the addresses of `saved`; asks for its names from now on.
  std::shared_ptr<const Config> start(std::shared_ptr<const Config> config, const std::vector<SavedName>& saved);
  /// Of a reload: with the addresses that are known.
  std::shared_ptr<const Config> follow(std::shared_ptr<const Config> config);
  /// The same configuration where services listen on other addresses: nothing is asked.
  std::shared_ptr<const Config> refill(std::shared_ptr<const Config> config);
  /// Of a configuration that is only looked at.
  void look_up(const std::shared_ptr<const Config>& config, LookUps::Done done) {
    look_ups_.start(
        config, [this](const NameQuery& query) { return names_.find(query); }, std::move(done));
  }
  /// Of servers with names: what DNS says.
  void add_to(ServiceStatus& status, const ServiceConfig& config) const;

  /// Other addresses are to be saved.
  std::function<void()> on_change;
  std::vector<SavedName> saved() const { return names_.saved(); }

private:
  void changed();
  void fails(const NameQuery& query, const NameRecord& record);
  void recovers(const NameQuery& query, const NameRecord& record);

  Controller& controller_;
  Publish publish_;
  std::shared_ptr<const Config> config_, filled_; // as it was read; as the controller has it
  bool resolver_failed_ = false;                  // and it was told
  Names names_;
  LookUps look_ups_;
};

} // namespace hanat
