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

const Time feed_now{1'000h};
const WallTime feed_wall{1'769'853'600'123ms};

PeerService service_named(const std::string& name, const std::string& why = "primary-up") {
  return {.name = name, .listen = {}, .why = why};
}

/// The other gateway, as it asks.
struct Reader {
  PeerView view;
  std::uint64_t after = 0;
  std::string instance;
  std::size_t pages = 0;

  void read(const PeerFeed& feed) {
    bool more = true;
    while (more && feed.is_new(after, instance)) {
      const PeerPage page = feed.page(after, instance, feed_now, feed_wall);
      view.add(page);
      after = page.serial;
      instance = page.instance;
      more = page.more;
      ++pages;
    }
  }
};

TEST(PeerFeed, AProgramThatDiesIsAChange) {
  PeerFeed feed{"a", "0.1"};
  const std::uint64_t before = feed.serial();
  EXPECT_TRUE(feed.set_programs("ok", "absent", feed_now));
  EXPECT_FALSE(feed.set_programs("ok", "absent", feed_now));
  EXPECT_TRUE(feed.is_new(before, "a"));
  EXPECT_EQ(feed.page(before, "a", feed_now, feed_wall).keepalived, "absent");
}

TEST(PeerFeed, WhoKnowsNothingGetsAllAndThenOnlyWhatChanged) {
  PeerFeed feed{"a", "0.1"};
  feed.set_role("active", feed_now);
  feed.update("web", service_named("web"), feed_now);
  feed.update("mail", service_named("mail"), feed_now);
  const PeerPage all = feed.page(0, "", feed_now, feed_wall);
  EXPECT_TRUE(all.whole);
  EXPECT_FALSE(all.more);
  EXPECT_EQ(all.services.size(), 2U);
  EXPECT_FALSE(feed.is_new(all.serial, "a"));
  EXPECT_TRUE(feed.page(all.serial, "a", feed_now, feed_wall).services.empty());

  EXPECT_TRUE(feed.update("web", service_named("web", "failover"), feed_now));
  EXPECT_FALSE(feed.update("web", service_named("web", "failover"), feed_now)) << "the same again";
  ASSERT_TRUE(feed.is_new(all.serial, "a"));
  const PeerPage changed = feed.page(all.serial, "a", feed_now + 5ms, feed_wall);
  EXPECT_FALSE(changed.whole);
  ASSERT_EQ(changed.services.size(), 1U);
  EXPECT_EQ(changed.services.front().why, "failover");
  EXPECT_EQ(changed.change_age, 5ms);
}

TEST(PeerFeed, ARoleIsNewsToo) {
  PeerFeed feed{"a", "0.1"};
  feed.set_role("standby", feed_now);
  const auto serial = feed.serial();
  EXPECT_FALSE(feed.set_role("standby", feed_now));
  EXPECT_TRUE(feed.set_role("active", feed_now));
  EXPECT_TRUE(feed.is_new(serial, "a"));
  EXPECT_EQ(feed.page(serial, "a", feed_now + 1s, feed_wall).role, "active");
  EXPECT_EQ(feed.page(serial, "a", feed_now + 1s, feed_wall).role_age, 1s);
}

TEST(PeerFeed, AnotherInstanceBeginsAnew) {
  PeerFeed feed{"b", "0.1"};
  feed.update("web", service_named("web"), feed_now);
  EXPECT_TRUE(feed.is_new(1, "a"));
  const PeerPage page = feed.page(1, "a", feed_now, feed_wall);
  EXPECT_TRUE(page.whole);
  EXPECT_EQ(page.services.size(), 1U);
  EXPECT_TRUE(feed.page(99, "b", feed_now, feed_wall).whole) << "a serial that was never given";
}

TEST(PeerFeed, AServiceThatIsGoneIsToldOnce) {
  PeerFeed feed{"a", "0.1"};
  feed.update("web", service_named("web"), feed_now);
  Reader reader;
  reader.read(feed);
  feed.update("web", std::nullopt, feed_now);
  EXPECT_FALSE(feed.update("never", std::nullopt, feed_now));
  const PeerPage page = feed.page(reader.after, "a", feed_now, feed_wall);
  EXPECT_THAT(page.removed, ElementsAre("web"));
  reader.read(feed);
  EXPECT_EQ(reader.view.find("web"), nullptr);
  EXPECT_THAT(feed.page(0, "", feed_now, feed_wall).removed, IsEmpty()) << "who begins anew never knew it";
}

TEST(PeerFeed, TenThousandServicesComeInPagesAndAChangeMeanwhileIsNotLost) {
  PeerFeed feed{"a", "0.1"};
  for (int number = 0; number < 10'000; ++number)
    feed.update(fmt::format("s{}", number), service_named(fmt::format("s{}", number)), feed_now);
  Reader reader;
  const PeerPage first = feed.page(0, "", feed_now, feed_wall);
  EXPECT_TRUE(first.more);
  EXPECT_EQ(first.services.size(), services_a_page);
  reader.view.add(first);
  reader.after = first.serial;
  reader.instance = first.instance;
  feed.update("s0", service_named("s0", "failover"), feed_now);     // was in the page that is read already
  feed.update("s9999", service_named("s9999", "forced"), feed_now); // was not
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
    PeerService service = service_named(fmt::format("s{}", number));
    service.listen.assign(1'000, "203.0.113.10:1000/tcp");
    feed.update(service.name, service, feed_now);
  }
  const PeerPage page = feed.page(0, "", feed_now, feed_wall);
  EXPECT_TRUE(page.more);
  EXPECT_LT(to_json_text(page, feed_now, feed_wall).size(), longest_peer_page);
  Reader reader;
  reader.read(feed);
  EXPECT_EQ(reader.view.services().size(), 200U);
}

TEST(PeerFeed, ServicesThatComeAndGoDoNotFillTheMemory) {
  PeerFeed feed{"a", "0.1"};
  feed.update("stays", service_named("stays"), feed_now);
  Reader reader;
  reader.read(feed);
  for (int number = 0; number < 10'000; ++number) {
    const std::string name = fmt::format("s{}", number);
    feed.update(name, service_named(name), feed_now);
    feed.update(name, std::nullopt, feed_now);
  }
  reader.read(feed);
  EXPECT_EQ(reader.view.services().size(), 1U);
  EXPECT_NE(reader.view.find("stays"), nullptr);
}

} // namespace
} // namespace hanat
