// What a gateway has to tell, by serial.
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/peer/peer_feed.hpp"
#include "daemon/peer/peer_match.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

const Time now{1'000h};
const WallTime wall{1'769'853'600'123ms};

PeerService named(const std::string& name, const std::string& why = "primary-up") { return {.name = name, .listen = {}, .why = why}; }

/// The other gateway, as it asks.
struct Reader {
  PeerView view;
  std::uint64_t after = 0;
  std::string instance;
  std::size_t pages = 0;

  void read(const PeerFeed& feed) {
    bool more = true;
    while (more && feed.is_new(after, instance)) {
      const PeerPage page = feed.page(after, instance, now, wall);
      view.add(page);
      after = page.serial;
      instance = page.instance;
      more = page.more;
      ++pages;
    }
  }
};

TEST(PeerFeed, WhoKnowsNothingGetsAllAndThenOnlyWhatChanged) {
  PeerFeed feed{"a", "0.1"};
  feed.set_role("active", now);
  feed.update("web", named("web"), now);
  feed.update("mail", named("mail"), now);
  const PeerPage all = feed.page(0, "", now, wall);
  EXPECT_TRUE(all.whole);
  EXPECT_FALSE(all.more);
  EXPECT_EQ(all.services.size(), 2U);
  EXPECT_FALSE(feed.is_new(all.serial, "a"));
  EXPECT_TRUE(feed.page(all.serial, "a", now, wall).services.empty());

  EXPECT_TRUE(feed.update("web", named("web", "failover"), now));
  EXPECT_FALSE(feed.update("web", named("web", "failover"), now)) << "the same again";
  ASSERT_TRUE(feed.is_new(all.serial, "a"));
  const PeerPage changed = feed.page(all.serial, "a", now + 5ms, wall);
  EXPECT_FALSE(changed.whole);
  ASSERT_EQ(changed.services.size(), 1U);
  EXPECT_EQ(changed.services.front().why, "failover");
  EXPECT_EQ(changed.change_age, 5ms);
}

TEST(PeerFeed, ARoleIsNewsToo) {
  PeerFeed feed{"a", "0.1"};
  feed.set_role("standby", now);
  const auto serial = feed.serial();
  EXPECT_FALSE(feed.set_role("standby", now));
  EXPECT_TRUE(feed.set_role("active", now));
  EXPECT_TRUE(feed.is_new(serial, "a"));
  EXPECT_EQ(feed.page(serial, "a", now + 1s, wall).role, "active");
  EXPECT_EQ(feed.page(serial, "a", now + 1s, wall).role_age, 1s);
}

TEST(PeerFeed, AnotherInstanceBeginsAnew) {
  PeerFeed feed{"b", "0.1"};
  feed.update("web", named("web"), now);
  EXPECT_TRUE(feed.is_new(1, "a"));
  const PeerPage page = feed.page(1, "a", now, wall);
  EXPECT_TRUE(page.whole);
  EXPECT_EQ(page.services.size(), 1U);
  EXPECT_TRUE(feed.page(99, "b", now, wall).whole) << "a serial that was never given";
}

TEST(PeerFeed, AServiceThatIsGoneIsToldOnce) {
  PeerFeed feed{"a", "0.1"};
  feed.update("web", named("web"), now);
  Reader reader;
  reader.read(feed);
  feed.update("web", std::nullopt, now);
  EXPECT_FALSE(feed.update("never", std::nullopt, now));
  const PeerPage page = feed.page(reader.after, "a", now, wall);
  EXPECT_THAT(page.removed, ElementsAre("web"));
  reader.read(feed);
  EXPECT_EQ(reader.view.find("web"), nullptr);
  EXPECT_THAT(feed.page(0, "", now, wall).removed, IsEmpty()) << "who begins anew never knew it";
}

TEST(PeerFeed, TenThousandServicesComeInPagesAndAChangeMeanwhileIsNotLost) {
  PeerFeed feed{"a", "0.1"};
  for (int number = 0; number < 10'000; ++number) feed.update(fmt::format("s{}", number), named(fmt::format("s{}", number)), now);
  Reader reader;
  const PeerPage first = feed.page(0, "", now, wall);
  EXPECT_TRUE(first.more);
  EXPECT_EQ(first.services.size(), services_a_page);
  reader.view.add(first);
  reader.after = first.serial;
  reader.instance = first.instance;
  feed.update("s0", named("s0", "failover"), now);     // was in the page that is read already
  feed.update("s9999", named("s9999", "forced"), now); // was not
  reader.read(feed);
  EXPECT_TRUE(reader.view.is_complete());
  EXPECT_EQ(reader.view.services().size(), 10'000U);
  EXPECT_EQ(reader.view.find("s0")->why, "failover");
  EXPECT_EQ(reader.view.find("s9999")->why, "forced");
  EXPECT_LE(reader.pages, 10'000 / services_a_page + 2);
}

TEST(PeerFeed, APageIsBoundedInBytesToo) {
  PeerFeed feed{"a", "0.1"};
  for (int number = 0; number < 200; ++number) {
    PeerService service = named(fmt::format("s{}", number));
    service.listen.assign(1'000, "203.0.113.10:1000/tcp");
    feed.update(service.name, service, now);
  }
  const PeerPage page = feed.page(0, "", now, wall);
  EXPECT_TRUE(page.more);
  EXPECT_LT(to_json_text(page, now, wall).size(), longest_peer_page);
  Reader reader;
  reader.read(feed);
  EXPECT_EQ(reader.view.services().size(), 200U);
}

TEST(PeerFeed, ServicesThatComeAndGoDoNotFillTheMemory) {
  PeerFeed feed{"a", "0.1"};
  feed.update("stays", named("stays"), now);
  Reader reader;
  reader.read(feed);
  for (int number = 0; number < 10'000; ++number) {
    const std::string name = fmt::format("s{}", number);
    feed.update(name, named(name), now);
    feed.update(name, std::nullopt, now);
  }
  reader.read(feed);
  EXPECT_EQ(reader.view.services().size(), 1U);
  EXPECT_NE(reader.view.find("stays"), nullptr);
}

} // namespace
} // namespace hanat
