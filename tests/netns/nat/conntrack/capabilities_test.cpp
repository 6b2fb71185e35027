// Detecting what conntrack supports: on the running kernel, and on simulated kernels with fewer or broken features (the test changes what
// is sent). On every kernel unrelated flows survive, and the cut works. Not here: the cut in detail (cut_test).
#include "nat/conntrack/capabilities.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "nat/conntrack/cut.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/synth.hpp"

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

nlmsghdr& first_message(MessageBatch& batch) { return *reinterpret_cast<nlmsghdr*>(batch.data()); }
int kind(MessageBatch& batch) { return first_message(batch).nlmsg_type & 0xff; }

std::uint16_t type_of(const nlattr& attribute) { return mnl_attr_get_type(&attribute); }

/// The attributes in these bytes of a message that nat built (libmnl's own loops are C only).
std::vector<nlattr*> scan(void* bytes, std::size_t length) {
  std::vector<nlattr*> found;
  for (std::size_t offset = 0; offset < length;) {
    found.push_back(reinterpret_cast<nlattr*>(static_cast<std::uint8_t*>(bytes) + offset));
    offset += (found.back()->nla_len + std::size_t{3}) & ~std::size_t{3};
  }
  return found;
}
std::vector<nlattr*> attributes(nlmsghdr& header) {
  return scan(mnl_nlmsg_get_payload_offset(&header, sizeof(nfgenmsg)), mnl_nlmsg_get_payload_len(&header) - sizeof(nfgenmsg));
}
std::vector<nlattr*> nested(nlattr& attribute) { return scan(mnl_attr_get_payload(&attribute), mnl_attr_get_payload_len(&attribute)); }

std::set<std::uint16_t> attribute_types(nlmsghdr& header) {
  std::set<std::uint16_t> types;
  for (const nlattr* attribute : attributes(header)) types.insert(type_of(*attribute));
  return types;
}
bool has(MessageBatch& batch, std::uint16_t type) { return attribute_types(first_message(batch)).contains(type); }

/// Removes attributes from the first (and only) message.
void strip(MessageBatch& batch, const std::set<std::uint16_t>& types) {
  MessageBatch kept(batch.begin(), batch.begin() + static_cast<long>(sizeof(nlmsghdr) + sizeof(nfgenmsg)));
  for (const nlattr* attribute : attributes(first_message(batch))) {
    if (types.contains(type_of(*attribute))) continue;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(attribute);
    kept.insert(kept.end(), bytes, bytes + ((attribute->nla_len + 3) & ~3));
  }
  batch = std::move(kept);
  first_message(batch).nlmsg_len = static_cast<std::uint32_t>(batch.size());
}

bool is_filtered(MessageBatch& batch, int message) { return kind(batch) == message && has(batch, CTA_FILTER); }

[[noreturn]] void refuse(int error) { throw std::system_error(error, std::generic_category(), "simulated by the test"); }

/// Creates a Cutter on the simulated kernel. Unrelated flows of both families must survive, and a cut of the dead flows must be exact.
void on_kernel(const BeforeSend& kernel, DeleteMethod ipv4, DeleteMethod ipv6_at_best, std::string_view why) {
  isolated([&] {
    std::vector<Flow> unrelated = flows_of(live4, 3'000, 3'000);
    for (const Flow& flow : flows_of(live6, 3'000, 3'000)) unrelated.push_back(flow);
    std::ranges::sort(unrelated);
    synthesise(unrelated);
    Cutter cutter{DeleteMethod::filtered_delete, kernel};
    EXPECT_TRUE(conntrack_entries() == unrelated) << "the checks changed real flows, or left scratch entries";
    EXPECT_EQ(cutter.method(Family::ipv4), ipv4) << cutter.limitation(Family::ipv4);
    EXPECT_GE(cutter.method(Family::ipv6), ipv6_at_best) << cutter.limitation(Family::ipv6);
    EXPECT_NE(cutter.limitation(Family::ipv4).find(why), std::string::npos) << cutter.limitation(Family::ipv4);
    EXPECT_EQ(cutter.limitation(Family::ipv4).find('\n'), std::string::npos);
    synthesise(flows_of(dead4, 3'000));
    synthesise(flows_of(dead6, 3'000));
    const std::atomic<bool> cancelled{false};
    EXPECT_EQ(cutter.cut(std::vector<Mapping>{dead4, dead6}, Protocols::all, FlowScope::all, cancelled), (CutCount{.tcp = 6'000}));
    EXPECT_TRUE(conntrack_entries() == unrelated);
  });
}

TEST(Capabilities, DetectionLeavesNoScratchEntry) {
  for (const DeleteMethod method : {DeleteMethod::filtered_delete, DeleteMethod::filtered_dump, DeleteMethod::full_dump})
    isolated([&] {
      const Cutter cutter{method};
      EXPECT_TRUE(conntrack_entries().empty());
    });
}

TEST(Capabilities, AreTheBestThatThisKernelSupports) {
  isolated([] {
    synthesise(flows_of(dead6, 5));
    synthesise(flows_of(live6, 7, 5));
    ConntrackSocket socket;
    std::size_t seen = 0;
    socket.dump(Family::ipv6, filter_of(dead6), {}, [&](const Entry& entry) { seen += entry.mapping == dead6 ? 1U : 100U; });
    const bool inverted = seen != 5; // Linux 6.18 shows all others
    const Cutter cutter;
    EXPECT_EQ(inverted, cutter.method(Family::ipv6) != DeleteMethod::filtered_delete) << cutter.limitation(Family::ipv6);
    EXPECT_EQ(inverted, !cutter.limitation(Family::ipv6).empty());
    EXPECT_EQ(cutter.limitation(Family::ipv4).empty(), cutter.method(Family::ipv4) == DeleteMethod::filtered_delete);
    EXPECT_EQ(conntrack_entries().size(), 12U);
  });
}

TEST(Capabilities, AreNoBetterThanRequested) {
  isolated([] {
    for (const DeleteMethod method : {DeleteMethod::filtered_dump, DeleteMethod::full_dump}) {
      const Cutter cutter{method};
      EXPECT_EQ(cutter.method(Family::ipv4), method);
      EXPECT_GE(cutter.method(Family::ipv6), method);
      EXPECT_FALSE(cutter.limitation(Family::ipv4).empty());
    }
  });
}

TEST(Capabilities, OfAKernelWithoutFilters) {
  // It takes the delete's partial tuple for the name of one entry, and refuses.
  const auto old_kernel = [](MessageBatch& batch) { strip(batch, {CTA_FILTER}); };
  on_kernel(
      [&](MessageBatch& batch) {
        if (is_filtered(batch, IPCTNL_MSG_CT_GET) || is_filtered(batch, IPCTNL_MSG_CT_DELETE)) old_kernel(batch);
      },
      DeleteMethod::full_dump, DeleteMethod::full_dump, "shows other entries");
}

TEST(Capabilities, OfAKernelThatIgnoresTheFilterOfDeletes) {
  on_kernel(
      [](MessageBatch& batch) {
        if (is_filtered(batch, IPCTNL_MSG_CT_DELETE)) strip(batch, {CTA_FILTER, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY});
      },
      DeleteMethod::filtered_dump, DeleteMethod::filtered_dump, "a delete removed other entries");
}

TEST(Capabilities, OfAKernelThatComparesOnlyHalfOfTheFilter) {
  for (const std::uint16_t half : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY})
    on_kernel(
        [half](MessageBatch& batch) {
          if (!is_filtered(batch, IPCTNL_MSG_CT_DELETE)) return;
          // Clears the bits of this half, and keeps those of the other.
          for (nlattr* attribute : attributes(first_message(batch))) {
            if (type_of(*attribute) != CTA_FILTER) continue;
            for (nlattr* flags : nested(*attribute)) {
              if (type_of(*flags) == (half == CTA_TUPLE_ORIG ? CTA_FILTER_ORIG_FLAGS : CTA_FILTER_REPLY_FLAGS))
                *static_cast<std::uint32_t*>(mnl_attr_get_payload(flags)) = 0;
            }
          }
        },
        DeleteMethod::filtered_dump, DeleteMethod::filtered_dump, "a delete removed other entries");
}

TEST(Capabilities, OfAKernelWithoutMarks) {
  on_kernel(
      [](MessageBatch& batch) {
        if (kind(batch) != IPCTNL_MSG_CT_NEW && has(batch, CTA_MARK)) strip(batch, {CTA_MARK, CTA_MARK_MASK});
      },
      DeleteMethod::filtered_dump, DeleteMethod::filtered_dump, "a dump by mark shows other entries");
}

TEST(Capabilities, OfAKernelThatRefusesAFilteredDelete) {
  for (const int error : {EOPNOTSUPP, EINVAL})
    on_kernel(
        [error](MessageBatch& batch) {
          if (is_filtered(batch, IPCTNL_MSG_CT_DELETE)) refuse(error);
        },
        DeleteMethod::filtered_dump, DeleteMethod::filtered_dump, "filtered delete: ");
}

TEST(Capabilities, OfAKernelThatRefusesAFilteredDump) {
  for (const int error : {EOPNOTSUPP, EINVAL})
    on_kernel(
        [error](MessageBatch& batch) {
          if (is_filtered(batch, IPCTNL_MSG_CT_GET)) refuse(error);
        },
        DeleteMethod::full_dump, DeleteMethod::full_dump, "filtered dump: ");
}

TEST(Capabilities, OfAKernelWhoseDeleteDoesNothing) {
  on_kernel(
      [](MessageBatch& batch) {
        if (!is_filtered(batch, IPCTNL_MSG_CT_DELETE)) return;
        for (nlattr* attribute : attributes(first_message(batch))) {
          if (type_of(*attribute) == CTA_MARK) *static_cast<std::uint32_t*>(mnl_attr_get_payload(attribute)) ^= 1;
        }
      },
      DeleteMethod::filtered_dump, DeleteMethod::filtered_dump, "a delete removed other entries");
}

TEST(Capabilities, OfAKernelWhoseFilteredDumpShowsNothing) {
  on_kernel(
      [](MessageBatch& batch) {
        if (is_filtered(batch, IPCTNL_MSG_CT_GET)) first_message(batch).nlmsg_type |= IPCTNL_MSG_CT_GET_DYING;
      },
      DeleteMethod::full_dump, DeleteMethod::full_dump, "shows other entries");
}

TEST(Capabilities, WithoutScratchEntriesAreAFullDump) {
  on_kernel(
      [](MessageBatch& batch) {
        if (kind(batch) == IPCTNL_MSG_CT_NEW) refuse(ENOMEM); // a full table
      },
      DeleteMethod::full_dump, DeleteMethod::full_dump, "the checks failed: ");
}

TEST(Capabilities, AFailedDetectionRemovesItsScratchEntries) {
  isolated([] {
    int created = 0;
    const Cutter cutter{DeleteMethod::filtered_delete, [&](MessageBatch& batch) {
                          if (kind(batch) == IPCTNL_MSG_CT_NEW && ++created % 8 == 0) refuse(ENOMEM);
                        }};
    EXPECT_TRUE(conntrack_entries().empty());
    EXPECT_THROW((Cutter{DeleteMethod::filtered_delete,
                         [](MessageBatch& batch) {
                           if (is_filtered(batch, IPCTNL_MSG_CT_GET)) refuse(EPERM);
                         }}),
                 std::system_error);
    EXPECT_TRUE(conntrack_entries().empty());
  });
}

TEST(Capabilities, ALaterRefusalOfTheFilteredDeleteFallsBack) {
  bool later = false;
  isolated([&] {
    Cutter cutter{DeleteMethod::filtered_delete, [&](MessageBatch& batch) {
                    if (later && is_filtered(batch, IPCTNL_MSG_CT_DELETE)) refuse(EOPNOTSUPP);
                  }};
    later = true;
    synthesise(flows_of(dead4, 5'000));
    const std::atomic<bool> cancelled{false};
    EXPECT_EQ(cutter.cut(std::vector<Mapping>{dead4}, Protocols::all, FlowScope::all, cancelled), (CutCount{.tcp = 5'000}));
    EXPECT_TRUE(conntrack_entries().empty());
  });
}

TEST(Capabilities, NoDeleteIsSentWithoutATuple) {
  isolated([] {
    bool filtered = false;
    Cutter cutter{DeleteMethod::filtered_delete, [&](MessageBatch& batch) {
                    int left = static_cast<int>(batch.size());
                    for (auto* header = &first_message(batch); mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
                      if ((header->nlmsg_type & 0xff) != IPCTNL_MSG_CT_DELETE) continue;
                      const auto types = attribute_types(*header);
                      const auto& netfilter = *static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(header));
                      EXPECT_EQ(netfilter.version, 1) << "with version 0 a delete affects every family";
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
    cutter.cut(std::vector<Mapping>{dead4, dead6}, Protocols::all, FlowScope::all, cancelled);
    EXPECT_TRUE(filtered || cutter.method(Family::ipv4) != DeleteMethod::filtered_delete);
  });
}

} // namespace
} // namespace hanat::nat
