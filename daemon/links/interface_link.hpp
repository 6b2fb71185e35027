// Between the interfaces of this machine and services that listen on them: other addresses are a reload of these services. And the
// flowtable gets the interfaces.
// Not here: which addresses an interface has (interfaces), what the reload does (failover/reload), names of servers (name_link).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/api/status.hpp"
#include "daemon/config/config.hpp"
#include "daemon/doctor/finding.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/interfaces/address_hold.hpp"
#include "daemon/interfaces/fill_listen.hpp"
#include "daemon/interfaces/interface_monitor.hpp"
#include "daemon/links/name_link.hpp"
#include "daemon/report/event.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class InterfaceLink {
public:
  using Publish = std::function<void(const Event& event)>;
  /// Throws std::system_error.
  InterfaceLink(uv_loop_t* loop, Controller& controller, NameLink& names, Publish publish);

  /// Of a start or a reload: with the addresses that the interfaces have now.
  std::shared_ptr<const Config> follow(std::shared_ptr<const Config> config);
  /// Of a configuration that is only looked at.
  std::shared_ptr<const Config> fill(const std::shared_ptr<const Config>& config) const;
  void add_to(ServiceStatus& status) const;
  /// Of services that do not listen where they should.
  std::vector<Finding> findings(const std::string& service) const;

private:
  /// What services of the configuration have of one interface.
  using Effective = std::map<std::string, InterfaceAddresses>;
  void wait_for_more();
  void changed();
  void wake_up();
  Effective look();
  void tell_held();
  std::vector<Event> events_of(const Effective& next, const FilledListen& filled) const;
  std::string services_of(const std::string& interface, std::size_t& count) const;

  Controller& controller_;
  NameLink& names_;
  Publish publish_;
  std::shared_ptr<const Config> config_; // as it was read
  FilledListen filled_;
  Effective interfaces_; // as of filled_
  AddressHold hold_;
  std::map<std::string, std::set<Address>> told_gone_; // held, that services listen on, by interface, as it was told
  UvHandle<uv_timer_t> together_, held_;
  InterfaceMonitor monitor_;
};

} // namespace hanat
