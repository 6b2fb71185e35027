// What is said of names of servers.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/report/event_text.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat::events {
namespace {

std::string said(Payload what) { return text_of(make("web", std::move(what))); }

TEST(NameTexts, AChangeSaysFromWhereToWhere) {
  NameChanged changed{.server = {.role = "primary", .address = {}}, .name = "db1.lan", .before = "198.18.0.1", .after = "198.18.0.2"};
  EXPECT_EQ(said(changed), "primary: db1.lan is 198.18.0.2 now, and was 198.18.0.1");
  changed.has_traffic = true;
  EXPECT_EQ(said(changed), "primary: db1.lan is 198.18.0.2 now, and was 198.18.0.1; the traffic goes there as soon as it is up, and stays "
                           "where it is until then");
  changed.before.clear();
  EXPECT_EQ(said(changed), "primary: db1.lan is 198.18.0.2");
  changed.after.clear();
  EXPECT_EQ(said(changed),
            "primary: db1.lan has the address of another server of the service, or of a listener of this gateway, and so none "
            "of its own; correct its record in DNS, or the configuration");
}

TEST(NameTexts, AFailureSaysWhatStaysInUse) {
  NameFails fails{.name = "db1.lan", .record = "A", .error = "there is no such name (NXDOMAIN)", .kept = "198.18.0.1", .other = {}};
  EXPECT_EQ(said(fails),
            "db1.lan cannot be resolved (A): there is no such name (NXDOMAIN); its last good address, 198.18.0.1, stays in use. "
            "It is asked for again; see its record in DNS");
  fails.kept.clear();
  fails.resolver = true;
  EXPECT_EQ(said(fails), "db1.lan cannot be resolved (A): there is no such name (NXDOMAIN); its servers count as down until it has an "
                         "address. It is asked for again; other names may fail, too: see hanatctl status, /etc/resolv.conf and the key "
                         "resolver");
  fails.other = "fd00::1";
  EXPECT_THAT(said(fails), testing::HasSubstr("; only fd00::1 is in use, and clients of the other family are not served there. "));
}

TEST(NameTexts, AnAnswerEndsIt) {
  EXPECT_EQ(said(NameResolves{.name = "db1.lan", .record = "A", .address = "198.18.0.1"}), "db1.lan is resolved (A): 198.18.0.1");
  EXPECT_EQ(said(NameResolves{.name = "db1.lan", .record = "A", .address = "198.18.0.1", .resolver = true}),
            "names are resolved again, the last one db1.lan (198.18.0.1)");
}

TEST(InterfaceTexts, AChangeSaysWhatCameWhatIsGoneAndWhatFollows) {
  InterfaceChanged changed{.interface = "eth0", .come = "203.0.113.20", .gone = {}, .all = "203.0.113.20", .absent = {}, .services = "it"};
  EXPECT_EQ(said(changed), "eth0 has 203.0.113.20 now: it listens there");
  changed.gone = "203.0.113.10";
  EXPECT_EQ(said(changed), "eth0 has 203.0.113.20 now, and 203.0.113.10 no more: it listens on 203.0.113.20, and connections to "
                           "203.0.113.10 are cut");
  changed.services = "web and 2 other services", changed.several = true, changed.come.clear();
  EXPECT_EQ(said(changed), "eth0 has 203.0.113.10 no more: connections to it are cut, and web and 2 other services listen on 203.0.113.20");
  changed.all.clear(), changed.absent = "there is no interface eth0";
  EXPECT_EQ(said(changed), "eth0 has lost 203.0.113.10 (there is no interface eth0): connections to it are cut, and web and 2 other "
                           "services listen there again as soon as it has an address");
  EXPECT_EQ(level_of(make("", changed)), Level::warning);
  changed.gone.clear();
  EXPECT_EQ(said(changed), "there is no interface eth0: web and 2 other services listen there as soon as it has one");
}

TEST(InterfaceTexts, AnAddressThatIsGoneIsHeldAndPerhapsBack) {
  AddressHeld held{.interface = "eth0", .addresses = "203.0.113.10", .held = std::chrono::seconds{2}};
  EXPECT_EQ(said(held), "203.0.113.10 is gone from eth0, and held for 2 s: no connection is cut before");
  held.back = true;
  EXPECT_EQ(said(held), "203.0.113.10 is back on eth0: connections to it go on");
  held.addresses = "203.0.113.10, 2001:db8::10";
  EXPECT_EQ(said(held), "203.0.113.10, 2001:db8::10 are back on eth0: connections to them go on");
}

TEST(InterfaceTexts, AnOverlapNamesBoth) {
  EXPECT_EQ(
      said(ListenOverlaps{.listen = "eth0:443/tcp", .interface = "eth0", .overlap = "203.0.113.10:443/tcp is a listener of service mail"}),
      "it does not listen on all of eth0:443/tcp: 203.0.113.10:443/tcp is a listener of service mail; change one of the two");
}

} // namespace
} // namespace hanat::events
