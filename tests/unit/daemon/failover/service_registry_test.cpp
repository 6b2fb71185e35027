// The services by name, group and address; which have to be looked at, and when; and how a removed one ends.
// Not here: what is decided of them (transition_test).
#include "daemon/failover/service_registry.hpp"

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

using Names = std::vector<std::string>;

class ServiceRegistryTest : public testing::Test, protected Flows {
protected:
  ServiceState& add_grouped(const std::string& name, std::uint16_t port, const std::string& group) {
    ServiceConfig config = small_service(name, port);
    config.group = group;
    return add(config);
  }
  static Names names(std::span<ServiceState* const> services) {
    Names result;
    for (const ServiceState* service : services) result.push_back(service->config->name);
    return result;
  }
  Names group_of(ServiceState& service) const {
    ServiceState* one = &service;
    return names(registry.group_of(one));
  }
  Names dirty() { return names(registry.take_dirty()); }
};

TEST_F(ServiceRegistryTest, ConfiguredServicesAreFoundByName) {
  ServiceState& web = add(small_service("web", 80));
  EXPECT_EQ(registry.find("web"), &web);
  EXPECT_EQ(registry.find("mail"), nullptr);
  registry.unlist(web);
  EXPECT_EQ(registry.find("web"), nullptr);
  EXPECT_TRUE(web.removed && web.dirty);
  EXPECT_TRUE(registry.evicting().contains(&web));
}

TEST_F(ServiceRegistryTest, ServicesAreFoundByTheAddressOfAServer) {
  ServiceState& one = add(small_service("one", 80));
  ServiceState& two = add(small_service("two", 81));
  EXPECT_EQ(names(registry.at(address("198.18.1.2"))), (Names{"one", "two"}));
  EXPECT_TRUE(registry.at(address("198.18.9.9")).empty());
  two.servers[0].addresses = {endpoint("198.18.9.9", 0)};
  registry.list(two); // another configuration
  EXPECT_EQ(names(registry.at(address("198.18.9.9"))), Names{"two"});
  EXPECT_EQ(names(registry.at(address("198.18.1.2"))), Names{"one"});
  one.servers.clear();
  registry.unlist(one);
  EXPECT_TRUE(registry.at(address("198.18.1.2")).empty());
}

TEST_F(ServiceRegistryTest, AServiceIsFoundByAnEndpointOfItsListeners) {
  ServiceState& one = add(small_service("one", 80));
  Vip web = one.config->listen.front();
  EXPECT_EQ(registry.listening_at(web), &one);
  const Vip other{.address = web.address, .protocol = Protocol::tcp, .port = 81};
  EXPECT_EQ(registry.listening_at(other), nullptr);
  one.config.edit().listen = {{.address = web.address, .protocol = Protocol::tcp, .port = 81, .last = 90}};
  registry.list(one); // another configuration
  EXPECT_EQ(registry.listening_at(web), nullptr);
  EXPECT_EQ(registry.listening_at(other), &one) << "of a range";
  one.config.edit().listen.clear();
  registry.unlist(one);
  EXPECT_EQ(registry.listening_at(other), nullptr);
}

TEST_F(ServiceRegistryTest, ATombstoneIsMadeOnceAndNeverAConfiguredService) {
  ServiceState& configured = add(small_service("web", 80));
  ServiceState& tombstone = registry.tombstone("web");
  EXPECT_NE(&tombstone, &configured);
  EXPECT_TRUE(tombstone.removed);
  EXPECT_EQ(&registry.tombstone("web"), &tombstone);
  EXPECT_EQ(registry.find("web"), &configured);
}

TEST_F(ServiceRegistryTest, AServiceIsMarkedOnce) {
  ServiceState& web = add(small_service("web", 80));
  registry.mark_dirty(web);
  registry.mark_dirty(web);
  EXPECT_EQ(dirty(), Names{"web"});
  EXPECT_EQ(dirty(), Names{});
  registry.mark_all_dirty();
  EXPECT_EQ(dirty(), Names{"web"});
}

TEST_F(ServiceRegistryTest, ManyThatBeginWaitForTheirTurn) {
  const auto begin = [&](const std::string& name, std::uint16_t port) -> ServiceState& {
    ServiceState& service = add(small_service(name, port));
    service.loaded.vips.emplace(service.config->listen.front(), name);
    registry.mark_dirty(service);
    return service;
  };
  begin("a", 1);
  begin("b", 2);
  begin("c", 3).current = 0;
  begin("d", 4).config.edit().group = "one"; // decided with its group
  begin("e", 5);
  EXPECT_EQ(names(registry.waiting.hold_back()), (Names{"a", "b", "e"}));
  registry.waiting.release(1);
  EXPECT_EQ(dirty(), (Names{"c", "d", "a"}));
  EXPECT_EQ(dirty(), Names{});
  EXPECT_FALSE(registry.waiting.empty());
  registry.mark_dirty(*registry.find("e")); // something else of it has changed: it keeps its place
  EXPECT_EQ(names(registry.waiting.hold_back()), Names{"e"});
  registry.waiting.release(2);
  EXPECT_EQ(dirty(), (Names{"b", "e"}));
  EXPECT_TRUE(registry.waiting.empty());
}

TEST_F(ServiceRegistryTest, WhereManyAreDirtyThoseWaitThatAreWell) {
  const auto all_dirty = [&](unsigned number) {
    for (unsigned port = 1; port <= number; ++port) {
      const std::string name = "s" + std::to_string(port);
      ServiceState* known = registry.find(name);
      ServiceState& service = known != nullptr ? *known : add(small_service(name, static_cast<std::uint16_t>(port)));
      service.current = 0;
      service.servers[0].health = Health::up;
      registry.mark_dirty(service);
    }
  };
  all_dirty(256);
  EXPECT_TRUE(registry.waiting.hold_back().empty()) << "few";
  all_dirty(257);
  registry.find("s1")->servers[0].health = Health::down;
  registry.find("s2")->servers[0].maintenance = Maintenance{};
  registry.find("s3")->force = Override{};
  EXPECT_EQ(registry.waiting.hold_back().size(), 254U);
  EXPECT_EQ(dirty(), (Names{"s1", "s2", "s3"}));
  registry.waiting.release(2);
  EXPECT_EQ(dirty(), (Names{"s4", "s5"}));
  EXPECT_FALSE(registry.waiting.empty());
}

TEST_F(ServiceRegistryTest, OneThatIsTakenAwayDoesNotWaitAnyLonger) {
  ServiceState& service = add(small_service("a", 1));
  service.loaded.vips.emplace(service.config->listen.front(), "a");
  registry.mark_dirty(service);
  registry.waiting.hold_back();
  registry.unlist(service);
  registry.take_dirty();
  service.loaded = {};
  registry.reap(service);
  registry.waiting.release(1);
  EXPECT_TRUE(registry.waiting.empty());
}

TEST_F(ServiceRegistryTest, AGroupIsDirtyAsAWhole) {
  ServiceState& sip = add_grouped("sip", 5060, "voice");
  ServiceState& web = add(small_service("web", 80));
  ServiceState& rtp = add_grouped("rtp", 5061, "voice");
  EXPECT_EQ(group_of(sip), Names{"sip"}); // not before regroup()
  registry.regroup();
  EXPECT_EQ(dirty(), (Names{"sip", "rtp"}));
  EXPECT_EQ(group_of(sip), (Names{"sip", "rtp"}));
  EXPECT_EQ(group_of(rtp), (Names{"sip", "rtp"}));
  EXPECT_EQ(group_of(web), Names{"web"});
  registry.mark_dirty(rtp);
  registry.complete_groups();
  EXPECT_EQ(dirty(), (Names{"rtp", "sip"}));
}

TEST_F(ServiceRegistryTest, OnlyGroupsThatChangedAreMarked) {
  add_grouped("sip", 5060, "voice");
  add_grouped("rtp", 5061, "voice");
  ServiceState& web = add_grouped("web", 80, "sites");
  ServiceState& mail_service = add_grouped("mail", 25, "sites");
  registry.regroup();
  registry.take_dirty();
  mail_service.config.edit().group.clear();
  registry.regroup();
  EXPECT_EQ(dirty(), Names{"web"});
  EXPECT_EQ(group_of(web), Names{"web"});
  EXPECT_EQ(group_of(mail_service), Names{"mail"});
}

TEST_F(ServiceRegistryTest, TheEarliestTimerWakesTheLoopAndMarksItsService) {
  ServiceState& one = add(small_service("one", 80));
  ServiceState& two = add(small_service("two", 81));
  EXPECT_EQ(registry.next_wakeup(), std::nullopt);
  one.failback_at = now + 5s;
  two.failback_at = now + 3s;
  registry.set_timer(one, now);
  registry.set_timer(two, now);
  EXPECT_EQ(registry.next_wakeup(), now + 3s);
  registry.run_due(now + 3s - 1ms);
  EXPECT_EQ(dirty(), Names{});
  registry.run_due(now + 3s);
  EXPECT_EQ(dirty(), Names{"two"});
  EXPECT_EQ(registry.next_wakeup(), now + 5s);
  one.failback_at.reset(); // it does not wait any more
  registry.set_timer(one, now);
  EXPECT_EQ(registry.next_wakeup(), std::nullopt);
}

TEST_F(ServiceRegistryTest, ATimerThatMovesIsNotedOnce) {
  ServiceState& service = add(small_service("one", 80));
  for (const auto wait : {5s, 7s, 2s}) {
    service.failback_at = now + wait;
    registry.set_timer(service, now);
    EXPECT_EQ(registry.next_wakeup(), now + wait);
  }
  registry.run_due(now + 1h);
  EXPECT_EQ(dirty(), Names{"one"});
  EXPECT_EQ(registry.next_wakeup(), std::nullopt);
}

TEST_F(ServiceRegistryTest, ARemovedServiceEndsWhenNothingOfItIsLeft) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  service.failback_at = now + 5s;
  registry.set_timer(service, now);
  registry.unlist(service);
  registry.reap(service); // it is still to be decided, and loaded
  registry.take_dirty();
  registry.reap(service);
  EXPECT_EQ(registry.services().size(), 1U);
  service.loaded = {};
  service.evictions.emplace_back();
  registry.reap(service);
  EXPECT_EQ(registry.services().size(), 1U);
  service.evictions.clear();
  registry.mark_dirty(service);
  registry.reap(service);
  EXPECT_EQ(registry.services().size(), 1U);
  registry.take_dirty();
  registry.reap(service);
  EXPECT_TRUE(registry.services().empty());
  EXPECT_TRUE(registry.evicting().empty());
  EXPECT_EQ(registry.next_wakeup(), std::nullopt);
}

TEST_F(ServiceRegistryTest, ARemovedServiceDoesNotEndWhileTheKernelIsGivenAChangeOfIt) {
  ServiceState& service = add(small_service("web", 80));
  registry.unlist(service);
  registry.take_dirty();
  service.due.answer = true;
  registry.reap(service);
  EXPECT_EQ(registry.services().size(), 1U);
  service.due.answer = false;
  registry.reap(service);
  EXPECT_TRUE(registry.services().empty());
}

TEST_F(ServiceRegistryTest, AServiceWithoutEvictionsStaysConfigured) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  go(service, to_server(1));
  registry.reap(service);
  EXPECT_TRUE(registry.evicting().contains(&service));
  service.evictions.clear();
  registry.reap(service);
  EXPECT_TRUE(registry.evicting().empty());
  EXPECT_EQ(registry.find("web"), &service);
}

} // namespace
} // namespace hanat::test
