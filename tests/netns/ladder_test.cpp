// The proof of the ladder, on the kernel as it is and on kernels that know less or lie (played by changing what is sent). Whatever the
// kernel does, canaries survive and the cut still cuts.
#include "nat/ladder.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "nat/cut.hpp"
#include "tests/netns/isolated.hpp"
#include "tests/netns/synth.hpp"

namespace hanat::nat {
namespace {

using test::conntrack_entries;
using test::endpoint;
using test::Flow;
using test::flows_of;
using test::isolated;
using test::synthesise;
using test::vip;

const Mapping dead4{.vip = vip("203.0.113.10", 443, Protocol::tcp), .server = endpoint("198.19.0.11", 8443)};
const Mapping live4{.vip = vip("203.0.113.10", 443, Protocol::tcp), .server = endpoint("198.19.0.12", 8443)};
const Mapping dead6{.vip = vip("2001:db8::10", 443, Protocol::tcp), .server = endpoint("fd00::11", 8443)};
const Mapping live6{.vip = vip("2001:db8::10", 443, Protocol::tcp), .server = endpoint("fd00::12", 8443)};

nlmsghdr& first_message(Datagram& datagram) { return *reinterpret_cast<nlmsghdr*>(datagram.data()); }
int kind(Datagram& datagram) { return first_message(datagram).nlmsg_type & 0xff; }

std::uint16_t type_of(const nlattr& attribute) { return mnl_attr_get_type(&attribute); }

/// The attributes in these bytes of a message that nat built (libmnl's own loops are C only).
std::vector<nlattr*> walk(void* bytes, std::size_t length) {
  std::vector<nlattr*> found;
  for (std::size_t offset = 0; offset < length;) {
    found.push_back(reinterpret_cast<nlattr*>(static_cast<std::uint8_t*>(bytes) + offset));
    offset += (found.back()->nla_len + std::size_t{3}) & ~std::size_t{3};
  }
  return found;
}
std::vector<nlattr*> attributes(nlmsghdr& header) {
  return walk(mnl_nlmsg_get_payload_offset(&header, sizeof(nfgenmsg)), mnl_nlmsg_get_payload_len(&header) - sizeof(nfgenmsg));
}
std::vector<nlattr*> nested(nlattr& attribute) { return walk(mnl_attr_get_payload(&attribute), mnl_attr_get_payload_len(&attribute)); }

std::set<std::uint16_t> attribute_types(nlmsghdr& header) {
  std::set<std::uint16_t> types;
  for (const nlattr* attribute : attributes(header)) types.insert(type_of(*attribute));
  return types;
}
bool has(Datagram& datagram, std::uint16_t type) { return attribute_types(first_message(datagram)).contains(type); }

/// Takes attributes out of the first (and only) message.
void strip(Datagram& datagram, const std::set<std::uint16_t>& types) {
  Datagram kept(datagram.begin(), datagram.begin() + static_cast<long>(sizeof(nlmsghdr) + sizeof(nfgenmsg)));
  for (const nlattr* attribute : attributes(first_message(datagram))) {
    if (types.contains(type_of(*attribute))) continue;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(attribute);
    kept.insert(kept.end(), bytes, bytes + ((attribute->nla_len + 3) & ~3));
  }
  datagram = std::move(kept);
  first_message(datagram).nlmsg_len = static_cast<std::uint32_t>(datagram.size());
}

bool is_filtered(Datagram& datagram, int message) { return kind(datagram) == message && has(datagram, CTA_FILTER); }

[[noreturn]] void refuse(int error) { throw std::system_error(error, std::generic_category(), "played by the test"); }

/// Builds a Cutter on the played kernel; canaries of both families must survive that, and a cut of the dead flows must be exact.
void on_kernel(const BeforeSend& kernel, Rung ipv4, Rung ipv6_at_best, std::string_view why) {
  isolated([&] {
    std::vector<Flow> canaries = flows_of(live4, 3'000, 3'000);
    for (const Flow& flow : flows_of(live6, 3'000, 3'000)) canaries.push_back(flow);
    std::ranges::sort(canaries);
    synthesise(canaries);
    Cutter cutter{Rung::filtered_delete, kernel};
    EXPECT_TRUE(conntrack_entries() == canaries) << "the proof touched real flows, or left scratch entries";
    EXPECT_EQ(cutter.rung(Family::ipv4), ipv4) << cutter.proof(Family::ipv4);
    EXPECT_GE(cutter.rung(Family::ipv6), ipv6_at_best) << cutter.proof(Family::ipv6);
    EXPECT_NE(cutter.proof(Family::ipv4).find(why), std::string::npos) << cutter.proof(Family::ipv4);
    EXPECT_EQ(cutter.proof(Family::ipv4).find('\n'), std::string::npos);
    synthesise(flows_of(dead4, 3'000));
    synthesise(flows_of(dead6, 3'000));
    const std::atomic<bool> cancelled{false};
    EXPECT_EQ(cutter.cut(std::vector<Mapping>{dead4, dead6}, Streams::all, cancelled), (CutCount{.tcp = 6'000}));
    EXPECT_TRUE(conntrack_entries() == canaries);
  });
}

TEST(Ladder, LeavesNoScratchEntryBehind) {
  for (const Rung rung : {Rung::filtered_delete, Rung::filtered_dump, Rung::full_dump})
    isolated([&] {
      const Cutter cutter{rung};
      EXPECT_TRUE(conntrack_entries().empty());
    });
}

TEST(Ladder, TakesTheBestRungThatThisKernelReallyHas) {
  isolated([] {
    synthesise(flows_of(dead6, 5));
    synthesise(flows_of(live6, 7, 5));
    ConntrackSocket socket;
    std::size_t seen = 0;
    socket.dump(Family::ipv6, filter_of(dead6), {}, [&](const Entry& entry) { seen += entry.mapping == dead6 ? 1U : 100U; });
    const bool inverted = seen != 5; // Linux 6.18 shows the others
    const Cutter cutter;
    EXPECT_EQ(inverted, cutter.rung(Family::ipv6) != Rung::filtered_delete) << cutter.proof(Family::ipv6);
    EXPECT_EQ(inverted, !cutter.proof(Family::ipv6).empty());
    EXPECT_EQ(cutter.proof(Family::ipv4).empty(), cutter.rung(Family::ipv4) == Rung::filtered_delete);
    EXPECT_EQ(conntrack_entries().size(), 12U);
  });
}

TEST(Ladder, StopsAtTheRungThatWasAskedFor) {
  isolated([] {
    for (const Rung rung : {Rung::filtered_dump, Rung::full_dump}) {
      const Cutter cutter{rung};
      EXPECT_EQ(cutter.rung(Family::ipv4), rung);
      EXPECT_GE(cutter.rung(Family::ipv6), rung);
      EXPECT_FALSE(cutter.proof(Family::ipv4).empty());
    }
  });
}

TEST(Ladder, SurvivesAKernelThatDoesNotKnowTheFilter) {
  // It reads the delete's partial tuple as the name of one entry, and refuses.
  const auto old_kernel = [](Datagram& datagram) { strip(datagram, {CTA_FILTER}); };
  on_kernel(
      [&](Datagram& datagram) {
        if (is_filtered(datagram, IPCTNL_MSG_CT_GET) || is_filtered(datagram, IPCTNL_MSG_CT_DELETE)) old_kernel(datagram);
      },
      Rung::full_dump, Rung::full_dump, "shows other entries");
}

TEST(Ladder, SurvivesAKernelThatIgnoresTheFilterInDeletesOnly) {
  on_kernel(
      [](Datagram& datagram) {
        if (is_filtered(datagram, IPCTNL_MSG_CT_DELETE)) strip(datagram, {CTA_FILTER, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY});
      },
      Rung::filtered_dump, Rung::filtered_dump, "a delete took other entries");
}

TEST(Ladder, SurvivesAKernelThatComparesOnlyHalfOfTheFilter) {
  for (const std::uint16_t half : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY})
    on_kernel(
        [half](Datagram& datagram) {
          if (!is_filtered(datagram, IPCTNL_MSG_CT_DELETE)) return;
          // The bits of the other half stay; this half's tuple and bits go.
          for (nlattr* attribute : attributes(first_message(datagram))) {
            if (type_of(*attribute) != CTA_FILTER) continue;
            for (nlattr* flags : nested(*attribute)) {
              if (type_of(*flags) == (half == CTA_TUPLE_ORIG ? CTA_FILTER_ORIG_FLAGS : CTA_FILTER_REPLY_FLAGS))
                *static_cast<std::uint32_t*>(mnl_attr_get_payload(flags)) = 0;
            }
          }
        },
        Rung::filtered_dump, Rung::filtered_dump, "a delete took other entries");
}

TEST(Ladder, SurvivesAKernelWithoutMarks) {
  on_kernel(
      [](Datagram& datagram) {
        if (kind(datagram) != IPCTNL_MSG_CT_NEW && has(datagram, CTA_MARK)) strip(datagram, {CTA_MARK, CTA_MARK_MASK});
      },
      Rung::filtered_dump, Rung::filtered_dump, "the mark does not confine");
}

TEST(Ladder, TakesNoForADelete) {
  for (const int error : {EOPNOTSUPP, EINVAL})
    on_kernel(
        [error](Datagram& datagram) {
          if (is_filtered(datagram, IPCTNL_MSG_CT_DELETE)) refuse(error);
        },
        Rung::filtered_dump, Rung::filtered_dump, "filtered delete: ");
}

TEST(Ladder, TakesNoForADump) {
  for (const int error : {EOPNOTSUPP, EINVAL})
    on_kernel(
        [error](Datagram& datagram) {
          if (is_filtered(datagram, IPCTNL_MSG_CT_GET)) refuse(error);
        },
        Rung::full_dump, Rung::full_dump, "filtered dump: ");
}

TEST(Ladder, DoesNotBelieveADeleteThatDoesNothing) {
  on_kernel(
      [](Datagram& datagram) {
        if (!is_filtered(datagram, IPCTNL_MSG_CT_DELETE)) return;
        for (nlattr* attribute : attributes(first_message(datagram))) {
          if (type_of(*attribute) == CTA_MARK) *static_cast<std::uint32_t*>(mnl_attr_get_payload(attribute)) ^= 1;
        }
      },
      Rung::filtered_dump, Rung::filtered_dump, "a delete took other entries");
}

TEST(Ladder, DoesNotBelieveADumpThatShowsNothing) {
  on_kernel(
      [](Datagram& datagram) {
        if (is_filtered(datagram, IPCTNL_MSG_CT_GET)) first_message(datagram).nlmsg_type |= IPCTNL_MSG_CT_GET_DYING;
      },
      Rung::full_dump, Rung::full_dump, "shows other entries");
}

TEST(Ladder, WorksWhereNoScratchEntryCanBeMade) {
  on_kernel(
      [](Datagram& datagram) {
        if (kind(datagram) == IPCTNL_MSG_CT_NEW) refuse(ENOMEM); // a full table
      },
      Rung::full_dump, Rung::full_dump, "no proof: ");
}

TEST(Ladder, RemovesItsScratchEntriesWhenTheProofBreaksOff) {
  isolated([] {
    int created = 0;
    const Cutter cutter{Rung::filtered_delete, [&](Datagram& datagram) {
                          if (kind(datagram) == IPCTNL_MSG_CT_NEW && ++created % 8 == 0) refuse(ENOMEM);
                        }};
    EXPECT_TRUE(conntrack_entries().empty());
    EXPECT_THROW((Cutter{Rung::filtered_delete,
                         [](Datagram& datagram) {
                           if (is_filtered(datagram, IPCTNL_MSG_CT_GET)) refuse(EPERM);
                         }}),
                 std::system_error);
    EXPECT_TRUE(conntrack_entries().empty());
  });
}

TEST(Ladder, FallsBackWhenAProvenDeleteIsRefusedLater) {
  bool later = false;
  isolated([&] {
    Cutter cutter{Rung::filtered_delete, [&](Datagram& datagram) {
                    if (later && is_filtered(datagram, IPCTNL_MSG_CT_DELETE)) refuse(EOPNOTSUPP);
                  }};
    later = true;
    synthesise(flows_of(dead4, 5'000));
    const std::atomic<bool> cancelled{false};
    EXPECT_EQ(cutter.cut(std::vector<Mapping>{dead4}, Streams::all, cancelled), (CutCount{.tcp = 5'000}));
    EXPECT_TRUE(conntrack_entries().empty());
  });
}

TEST(Ladder, SendsNoDeleteThatNamesNothing) {
  isolated([] {
    bool filtered = false;
    Cutter cutter{Rung::filtered_delete, [&](Datagram& datagram) {
                    int left = static_cast<int>(datagram.size());
                    for (auto* header = &first_message(datagram); mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
                      if ((header->nlmsg_type & 0xff) != IPCTNL_MSG_CT_DELETE) continue;
                      const auto types = attribute_types(*header);
                      const auto& netfilter = *static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(header));
                      EXPECT_EQ(netfilter.version, 1) << "0 takes every family";
                      EXPECT_NE(netfilter.nfgen_family, AF_UNSPEC);
                      if (types.contains(CTA_FILTER))
                        EXPECT_TRUE(types.contains(CTA_TUPLE_ORIG) && types.contains(CTA_TUPLE_REPLY));
                      else
                        EXPECT_TRUE(types.contains(CTA_TUPLE_ORIG) || (types.contains(CTA_TUPLE_REPLY) && types.contains(CTA_ID)));
                      filtered |= types.contains(CTA_FILTER);
                    }
                  }};
    synthesise(flows_of(dead4, 3'000));
    synthesise(flows_of(dead6, 3'000));
    const std::atomic<bool> cancelled{false};
    cutter.cut(std::vector<Mapping>{dead4, dead6}, Streams::all, cancelled);
    EXPECT_TRUE(filtered || cutter.rung(Family::ipv4) != Rung::filtered_delete);
  });
}

} // namespace
} // namespace hanat::nat
