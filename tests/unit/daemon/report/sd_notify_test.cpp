// The line that `systemctl status` shows. Not here: the messages to systemd (netns).
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/report/sd_notify.hpp"

namespace hanat {
namespace {

std::unique_ptr<ServiceState> service_in_summary(std::optional<std::size_t> current, bool refused = false, bool removed = false) {
  auto service = std::make_unique<ServiceState>();
  service->current = current;
  service->refused = refused;
  service->removed = removed;
  return service;
}

TEST(Summary, NamesOnlyWhatThereIs) {
  std::vector<std::unique_ptr<ServiceState>> services;
  EXPECT_EQ(summary(services), "0 services");
  services.push_back(service_in_summary(0));
  EXPECT_EQ(summary(services), "1 service: 1 at the primary");
  services.push_back(service_in_summary(std::nullopt, false, true)); // its flows are on their way out
  EXPECT_EQ(summary(services), "1 service: 1 at the primary");
  services.push_back(service_in_summary(2));
  services.push_back(service_in_summary(std::nullopt, true));
  services.push_back(service_in_summary(std::nullopt));
  EXPECT_EQ(summary(services), "4 services: 1 at the primary, 1 at a backup, 1 without a server, 1 starting");
  services[2]->force.emplace();
  EXPECT_EQ(summary(services), "4 services: 1 at the primary, 1 at a backup, 1 without a server, 1 starting; 1 forced");
}

} // namespace
} // namespace hanat
