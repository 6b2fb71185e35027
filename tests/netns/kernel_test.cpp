// The table in the real kernel: whatever rules are loaded read back equal, any change leads where it should, a refused change leaves
// everything as it was, and other users of nf_tables are no harm. nft is the second witness.
// Not here: the fixed rules (ruleset_test), traffic (failover_test).
#include "nat/kernel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "tests/netns/isolated.hpp"
#include "tests/netns/neighbour.hpp"
#include "tests/netns/process.hpp"
#include "tests/netns/synth.hpp"

namespace hanat::nat {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::endpoint;
using test::vip;

test::Output nft(const std::string& script) { return test::collect({"nft", "-f", "-"}, 10s, script + "\n"); }

/// All that nft says of a table, with elements in order and without its name and handles.
json said_by_nft(const std::string& table) {
  json answer = json::parse(test::collect({"nft", "-j", "list", "table", "inet", table}, 30s).out).at("nftables");
  json objects = json::array();
  for (json& entry : answer)
    for (auto& [kind, object] : entry.items()) {
      if (kind == "metainfo" || kind == "table") continue;
      object.erase("table");
      object.erase("handle");
      if (object.contains("elem")) std::sort(object["elem"].begin(), object["elem"].end());
      objects.push_back(object);
    }
  return objects;
}

/// Rules of every kind, out of so few addresses and ports that many of them share something.
Rules random_rules(std::mt19937& dice) {
  const auto pick = [&](int number) { return std::uniform_int_distribution{0, number - 1}(dice); };
  const auto comment = [&] { return std::string(static_cast<std::size_t>(1 + pick(3) * pick(50)), static_cast<char>('a' + pick(26))); };
  Rules rules;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const bool four = family == Family::ipv4;
    const auto endpoint_of = [&](bool with_port) {
      return endpoint(fmt::format("{}{}", four ? "198.18.1." : "fd00:1::", 1 + pick(3)),
                      static_cast<std::uint16_t>(with_port ? 1 + pick(3) * 32'000 : 0));
    };
    for (int host = 1; host <= 3; ++host)
      for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp})
        for (const auto& [port, last] : std::initializer_list<std::pair<std::uint16_t, std::uint16_t>>{
                 {1, 0}, {2, 442}, {443, 0}, {444, 60'000}, {60'001, 65'534}, {65'535, 0}}) {
          Vip listen = vip(fmt::format("{}{}", four ? "203.0.113." : "2001:db8::", host), port, protocol);
          listen.last = last;
          const auto server = [&] { return endpoint_of(listen.last == 0); };
          if (pick(4) == 0) rules.known[listen] = comment();
          if (pick(4) == 0) rules.target[listen] = {server(), comment()};
          if (pick(8) == 0) rules.refused[listen] = {pick(2) == 0 ? Refusal::reject : Refusal::drop, comment()};
          if (pick(8) == 0) rules.moved[listen] = comment();
          if (pick(4) == 0) rules.hold[{listen, server()}] = comment();
          for (int times = pick(3); times > 0; --times) rules.stale[{listen, server()}] = comment();
          for (int times = pick(3); times > 0; --times) {
            const std::array kinds{Snat{SnatKind::masquerade, {}}, Snat{SnatKind::hairpin, {}}, Snat{SnatKind::address, server().address}};
            rules.source[{listen, server()}] = {kinds[static_cast<std::size_t>(pick(3))], comment()};
          }
        }
  }
  return rules;
}

Kernel shared_kernel(const std::string& table = "hanat") { return Kernel{table, Ownership::shared}; }

/// `number` services with a target each; the target of all is server `server`.
Rules services(std::uint16_t number, const char* server) {
  Rules rules;
  for (std::uint16_t port = 1; port <= number; ++port) {
    const Vip listen = vip("203.0.113.10", port, Protocol::tcp);
    rules.known[listen] = fmt::format("service{}", port);
    rules.target[listen] = {endpoint(server, port), fmt::format("service{} primary", port)};
  }
  return rules;
}

TEST(KernelTable, IsNotThereUntilItIsLoadedNorOnceItIsRemoved) {
  test::isolated([] {
    Kernel kernel{"hanat"};
    EXPECT_FALSE(kernel.read());
    kernel.remove();
    kernel.load({});
    const auto loaded = kernel.read();
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->in_order);
    EXPECT_TRUE(loaded->rules.empty());
    kernel.remove();
    EXPECT_FALSE(kernel.read());
  });
}

TEST(KernelTable, WhatIsLoadedReadsBackEqual) {
  test::isolated([] {
    for (unsigned seed = 0; seed < 40; ++seed) {
      std::mt19937 dice{seed};
      const Rules rules = random_rules(dice);
      Kernel kernel = shared_kernel();
      kernel.load(rules);
      const auto loaded = kernel.read();
      ASSERT_TRUE(loaded);
      ASSERT_TRUE(loaded->rules == rules) << "seed " << seed;
      ASSERT_TRUE(loaded->in_order) << "seed " << seed;
    }
  });
}

TEST(KernelTable, AnyChangeLeadsToWhatALoadWouldHaveMade) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    kernel.load({});
    Kernel fresh = shared_kernel("fresh");
    Rules from;
    for (unsigned seed = 0; seed < 40; ++seed) {
      std::mt19937 dice{1'000 + seed};
      const Rules to = seed % 10 == 9 ? Rules{} : random_rules(dice);
      kernel.change(from, to);
      const auto loaded = kernel.read();
      ASSERT_TRUE(loaded && loaded->in_order) << "seed " << seed;
      ASSERT_TRUE(loaded->rules == to) << "seed " << seed;
      if (seed % 4 == 0) {
        fresh.load(to);
        ASSERT_TRUE(said_by_nft("hanat") == said_by_nft("fresh")) << "seed " << seed;
      }
      from = to;
    }
  });
}

/// The part of the rules that belongs to one of two services: endpoints are dealt out by their port.
Rules share_of(const Rules& rules, bool first) {
  Rules share = rules;
  const auto other = [first](const Vip& vip) { return (vip.port == 443) != first; };
  const auto of_vip = [&](const auto& entry) { return other(entry.first); };
  const auto of_mapping = [&](const auto& entry) { return other(entry.first.vip); };
  std::erase_if(share.known, of_vip);
  std::erase_if(share.target, of_vip);
  std::erase_if(share.refused, of_vip);
  std::erase_if(share.moved, of_vip);
  std::erase_if(share.stale, of_mapping);
  std::erase_if(share.hold, of_mapping);
  std::erase_if(share.source, of_mapping);
  return share;
}

TEST(KernelTable, ServicesOnTheSameAddressesChangeEachOnItsOwn) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    kernel.load({});
    Kernel fresh = shared_kernel("fresh");
    std::array<Rules, 2> standing;
    for (unsigned seed = 0; seed < 60; ++seed) {
      std::mt19937 dice{2'000 + seed};
      const bool first = seed % 2 == 0;
      const Rules to = seed % 7 == 6 ? Rules{} : share_of(random_rules(dice), first);
      kernel.change(standing[first], to);
      standing[first] = to;
      const auto loaded = kernel.read();
      ASSERT_TRUE(loaded && loaded->in_order) << "seed " << seed << ": the guard must be armed exactly where something is to be answered";
      ASSERT_TRUE(share_of(loaded->rules, true) == standing[1] && share_of(loaded->rules, false) == standing[0]) << "seed " << seed;
    }
  });
}

TEST(KernelTable, AnAdoptedTableChangesLikeALoadedOne) {
  test::isolated([] {
    std::mt19937 dice{7};
    const Rules from = random_rules(dice);
    const Rules to = random_rules(dice);
    shared_kernel().load(from);
    Kernel next = shared_kernel(); // hanatd was started again
    const auto found = next.read();
    ASSERT_TRUE(found && found->in_order);
    next.adopt(found->rules);
    next.change(from, to);
    const auto loaded = next.read();
    EXPECT_TRUE(loaded->rules == to);
    EXPECT_TRUE(loaded->in_order);
  });
}

/// The error of a change that the kernel refuses; 0: it took it.
int refusal_of(const std::function<void()>& change) {
  try {
    change();
    return 0;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

TEST(KernelTable, ARefusedChangeLeavesEverythingAsItWas) {
  test::isolated([] {
    std::mt19937 dice{11};
    Rules loaded = random_rules(dice);
    const Vip stranger = vip("203.0.113.77", 80, Protocol::tcp);
    Kernel kernel = shared_kernel();
    kernel.load(loaded);
    const json before = said_by_nft("hanat");

    Rules wrong = loaded; // hanat believes in an element that is not there
    wrong.target[stranger] = {endpoint("198.18.1.1", 80), "stranger"};
    Rules wanted = random_rules(dice);
    wanted.moved[stranger] = "stranger";
    EXPECT_EQ(refusal_of([&] { kernel.change(wrong, wanted); }), ENOENT);
    EXPECT_TRUE(said_by_nft("hanat") == before);

    wrong = loaded; // and the other way round: it knows nothing of one that is
    const auto overlooked = wrong.target.extract(wrong.target.begin());
    wanted = wrong;
    wanted.known[stranger] = "stranger";
    wanted.target[overlooked.key()] = {endpoint(overlooked.key().address.family() == Family::ipv4 ? "198.18.9.9" : "fd00:9::9", 9),
                                       "other"};
    EXPECT_NE(refusal_of([&] { kernel.change(wrong, wanted); }), 0);
    EXPECT_TRUE(said_by_nft("hanat") == before);

    wanted = random_rules(dice);
    kernel.change(loaded, wanted); // and nothing of it is remembered
    const auto now = kernel.read();
    EXPECT_TRUE(now->rules == wanted);
    EXPECT_TRUE(now->in_order);
  });
}

TEST(KernelTable, AChangeOfATableThatIsGoneIsRefused) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    kernel.load({});
    ASSERT_EQ(nft("delete table inet hanat").exit, 0);
    EXPECT_EQ(refusal_of([&] { kernel.change({}, services(1, "198.18.1.2")); }), ENOENT);
    EXPECT_FALSE(kernel.read());
  });
}

TEST(KernelTable, TenThousandServicesLoadAndHalfOfThemMoveInOneTransaction) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    const Rules many = services(10'000, "198.18.1.2");
    kernel.load(many);
    EXPECT_TRUE(kernel.read()->rules == many);
    for (const json& object : said_by_nft("hanat"))
      if (object.value("name", "") == "known4" || object.value("name", "") == "target4") {
        EXPECT_EQ(object.at("elem").size(), 10'000U);
      }

    Rules moved = many;
    for (auto& [listen, target] : services(5'000, "198.18.2.2").target) {
      moved.stale[{listen, moved.target.at(listen).server}] = moved.target.at(listen).comment;
      moved.moved[listen] = moved.known.at(listen);
      moved.target[listen] = {target.server, "backup"};
    }
    Netlink watch{std::size_t{64} << 20, 1U << (NFNLGRP_NFTABLES - 1)};
    kernel.change(many, moved);
    unsigned commits = 0;
    EXPECT_TRUE(
        watch.drain([&](const nlmsghdr& message) { commits += message.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN); }));
    EXPECT_EQ(commits, 1U);
    const auto loaded = kernel.read();
    EXPECT_TRUE(loaded->rules == moved);
    EXPECT_TRUE(loaded->in_order);
  });
}

TEST(KernelTable, FlipsBesideAnotherUserWhoCommitsAHundredTimesASecond) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    Rules standing = services(1'000, "198.18.1.2");
    kernel.load(standing);
    test::Neighbour neighbour{10ms};
    const std::size_t before = test::Neighbour::commits();
    for (int flip = 0; flip < 500; ++flip) {
      Rules next = standing;
      auto& [listen, target] = *std::next(next.target.begin(), flip);
      next.stale[{listen, target.server}] = target.comment;
      target = {endpoint("198.18.2.2", 8443), "backup"};
      ASSERT_EQ(refusal_of([&] { kernel.change(standing, next); }), 0) << "flip " << flip;
      standing = std::move(next);
      std::this_thread::sleep_for(2ms);
    }
    neighbour.stop();
    EXPECT_GT(test::Neighbour::commits(), before + 20) << "it was not alone";
    const auto loaded = kernel.read();
    EXPECT_TRUE(loaded->rules == standing);
    EXPECT_TRUE(loaded->in_order);
  });
}

TEST(KernelTable, ReadingEndsWhileAnotherUserCommitsAllTheTime) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    const Rules rules = services(2'000, "198.18.1.2");
    kernel.load(rules);
    {
      test::Neighbour neighbour{0us};
      Netlink watch{std::size_t{64} << 20, 1U << (NFNLGRP_NFTABLES - 1)};
      for (int reading = 0; reading < 3; ++reading) {
        const auto began = std::chrono::steady_clock::now();
        try {
          EXPECT_TRUE(kernel.read()->rules == rules) << "a value that mixes two generations";
        } catch (const std::system_error& error) {
          const std::string words = error.what();
          EXPECT_TRUE(error.code().value() == EAGAIN || error.code().value() == EINTR) << words;
          EXPECT_TRUE(words.find("changes all the time") != words.npos || words.find("interrupted by a change") != words.npos) << words;
        }
        EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
      }
      unsigned commits = 0;
      watch.drain([&](const nlmsghdr& message) { commits += message.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN); });
      EXPECT_GT(commits, 20U) << "it was not alone";
    }
    EXPECT_TRUE(kernel.read()->rules == rules) << "and when it is quiet again, all is as before";
  });
}

TEST(KernelTable, TheWatchTellsOnlyOfOthersAndOnlyOfOurTable) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    kernel.load(services(1, "198.18.1.2"));
    kernel.change(services(1, "198.18.1.2"), services(2, "198.18.1.2"));
    EXPECT_FALSE(kernel.disturbed()) << "our own changes";
    ASSERT_EQ(nft("add table inet other").exit, 0);
    EXPECT_FALSE(kernel.disturbed());
    ASSERT_EQ(nft("add element inet hanat known4 { 203.0.113.99 . tcp . 99 }").exit, 0);
    pollfd readable{.fd = kernel.watch_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&readable, 1, 1'000), 1);
    EXPECT_TRUE(kernel.disturbed());
    EXPECT_FALSE(kernel.disturbed()) << "told once";
  });
}

TEST(KernelTable, TheWatchMissesNoCommitAndKnowsIt) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    EXPECT_FALSE(kernel.missed_a_commit());
    kernel.load(services(1, "198.18.1.2"));
    EXPECT_FALSE(kernel.missed_a_commit()) << "our own commit was told of";
    ASSERT_EQ(nft("add table inet other").exit, 0);
    EXPECT_FALSE(kernel.missed_a_commit()) << "so was another's";
    ASSERT_EQ(nft("add element inet hanat known4 { 203.0.113.99 . tcp . 99 }").exit, 0);
    EXPECT_TRUE(kernel.missed_a_commit()) << "nobody had looked at the watch yet";
    EXPECT_FALSE(kernel.missed_a_commit());
    EXPECT_FALSE(kernel.disturbed());

    ASSERT_EQ(nft("add table inet third").exit, 0);
    std::array<char, 65536> lost; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recv
    while (recv(kernel.watch_fd(), lost.data(), lost.size(), MSG_DONTWAIT) > 0) continue;
    EXPECT_TRUE(kernel.missed_a_commit()) << "its messages were lost";
    ASSERT_EQ(nft("add table inet fourth").exit, 0);
    while (recv(kernel.watch_fd(), lost.data(), lost.size(), MSG_DONTWAIT) > 0) continue;
    ASSERT_EQ(nft("add table inet fifth").exit, 0);
    EXPECT_TRUE(kernel.disturbed()) << "a generation is missing between the two that were told of";
  });
}

TEST(KernelTable, ALargeChangeOfOurOwnIsNotHeardAndNotMissed) {
  test::isolated([] {
    Kernel kernel = shared_kernel();
    for (unsigned round = 0; round < 2; ++round) { // the load is large, and so is the change
      if (round == 0)
        kernel.load(services(2'000, "198.18.1.2"));
      else
        kernel.change(services(2'000, "198.18.1.2"), services(2'000, "198.18.2.2"));
      pollfd readable{.fd = kernel.watch_fd(), .events = POLLIN, .revents = 0};
      EXPECT_EQ(poll(&readable, 1, 50), 0) << "the watch heard of it";
      EXPECT_FALSE(kernel.missed_a_commit());
    }
    kernel.change(services(2'000, "198.18.2.2"), services(2'001, "198.18.2.2"));
    EXPECT_FALSE(kernel.disturbed()) << "a small one after it";
    kernel.change(services(2'001, "198.18.2.2"), services(2'001, "198.18.1.2"));
    ASSERT_EQ(nft("add element inet hanat known4 { 203.0.113.99 . tcp . 99 }").exit, 0);
    EXPECT_TRUE(kernel.disturbed()) << "somebody else's is heard";
    EXPECT_FALSE(kernel.missed_a_commit());
  });
}

TEST(KernelTable, AVerdictThatHanatWouldNotWriteIsNotInOrder) {
  const Vip shop = vip("203.0.113.11", 80, Protocol::tcp);
  const Mapping web{vip("203.0.113.10", 443, Protocol::tcp), endpoint("198.18.1.2", 8443)};
  for (const auto& [map, key, verdict] :
       {std::array{"refused4", "203.0.113.11 . tcp . 80", "accept"}, std::array{"refused4", "203.0.113.11 . tcp . 80", "goto midstream"},
        std::array{"armed4", "203.0.113.11", "accept"}, std::array{"armed4", "203.0.113.11", "goto guard4"},
        std::array{"armed4", "203.0.113.11", "jump guard6"},
        std::array{"masquerade4", "203.0.113.10 . tcp . 443 . 198.18.1.2 . 8443", "drop"}}) {
    test::isolated([&, map = map, key = key, verdict = verdict] {
      Rules rules;
      rules.refused[shop] = {Refusal::reject, "shop"};
      rules.source[web] = {{SnatKind::masquerade, {}}, "web primary"};
      Kernel kernel = shared_kernel();
      kernel.load(rules);
      ASSERT_TRUE(kernel.read()->in_order);
      const std::string comment = map == std::string{"armed4"} ? "" : " comment \"shop\"";
      const test::Output edited = nft(fmt::format("delete element inet hanat {0} {{ {1} }}\nadd element inet hanat {0} {{ {1}{3} : {2} }}",
                                                  map, key, verdict, comment));
      ASSERT_EQ(edited.exit, 0) << edited.err;
      EXPECT_FALSE(kernel.read()->in_order) << map << " " << verdict;
    });
  }
}

} // namespace
} // namespace hanat::nat
