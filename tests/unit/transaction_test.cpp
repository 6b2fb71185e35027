// Batches are pure: values in, bytes out. What the bytes do is seen in the kernel (netns/kernel_test).
#include "nat/transaction.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

namespace hanat::nat {
namespace {

Address address(const std::string& text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}
Vip vip(const std::string& where, std::uint16_t port, Protocol protocol = Protocol::tcp) { return {address(where), protocol, port}; }
Endpoint endpoint(const std::string& where, std::uint16_t port) { return {address(where), port}; }

/// Something in every set of both families.
Rules everything() {
  Rules rules;
  for (const bool six : {false, true}) {
    const Vip web = vip(six ? "2001:db8::10" : "203.0.113.10", 443);
    const Vip shop = vip(six ? "2001:db8::11" : "203.0.113.11", 53, Protocol::udp);
    const Endpoint primary = endpoint(six ? "fd00:1::2" : "198.18.1.2", 8443);
    const Endpoint backup = endpoint(six ? "fd00:2::2" : "198.18.2.2", 8443);
    rules.known[web] = "web";
    rules.known[shop] = "shop";
    rules.target[web] = {primary, "web primary"};
    rules.refused[shop] = {Refusal::reject, "shop"};
    rules.stale[{web, backup}] = "web backup";
    rules.moved[web] = "web";
    rules.hold[{web, primary}] = "web primary";
    rules.source[{web, primary}] = {{SnatKind::masquerade, {}}, "web primary"};
    rules.source[{web, backup}] = {{SnatKind::address, primary.address}, "web backup"};
  }
  return rules;
}

/// One message of a batch: its kind, and how many bytes it has.
struct Message {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t length = 0;
};
std::vector<Message> messages_of(const Transaction& transaction) {
  std::vector<Message> messages;
  int left = static_cast<int>(transaction.bytes.size());
  const auto* header = reinterpret_cast<const nlmsghdr*>(transaction.bytes.data());
  for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left))
    messages.push_back({header->nlmsg_type, header->nlmsg_flags, header->nlmsg_seq, header->nlmsg_len});
  EXPECT_EQ(left, 0) << "the batch is whole messages, and nothing else";
  return messages;
}
constexpr std::uint16_t nft(int type) { return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type); }

Transaction change(const Rules& from, const Rules& to, std::uint32_t first_sequence = 7) {
  TransactionBuilder builder{"hanat", first_sequence};
  return builder.change(from, to, armed_by(from), armed_by(to)).finish();
}
Transaction whole_table(const Rules& rules) {
  TransactionBuilder builder{"hanat", 7};
  return builder.delete_table().add_table(0).add_layout().change({}, rules, {}, armed_by(rules)).finish();
}

/// Names of what the lists hold: "target4: 1".
std::map<std::string, std::size_t> sizes(const ElementLists& lists) {
  std::map<std::string, std::size_t> result;
  for (const auto& [id, list] : lists)
    if (!list.empty()) result[name_of(id)] = list.size();
  return result;
}
using Sizes = std::map<std::string, std::size_t>;

TEST(Transaction, TheSameInputIsTheSameBytes) {
  const Rules rules = everything();
  const auto first = whole_table(rules).bytes;
  Rules long_comments = rules; // something longer in between: no byte of it may be left anywhere
  for (auto& [key, comment] : long_comments.known) comment = std::string(120, 'x');
  whole_table(long_comments);
  EXPECT_EQ(whole_table(rules).bytes, first);
  EXPECT_EQ(change({}, rules).bytes, change({}, rules).bytes);
  EXPECT_EQ(change(rules, {}).bytes, change(rules, {}).bytes);
}

TEST(Transaction, OtherNumbersChangeNothingButTheNumbers) {
  const auto one = messages_of(change({}, everything(), 1));
  const auto other = messages_of(change({}, everything(), 1'000));
  ASSERT_EQ(one.size(), other.size());
  for (std::size_t index = 0; index < one.size(); ++index) {
    EXPECT_EQ(one[index].sequence, 1 + index);
    EXPECT_EQ(other[index].sequence, 1'000 + index);
    EXPECT_EQ(one[index].type, other[index].type);
    EXPECT_EQ(one[index].length, other[index].length);
  }
}

TEST(Transaction, BeginsAndEndsAsABatchAndOnlyItsLastMessageIsAcknowledged) {
  const Transaction transaction = whole_table(everything());
  const auto messages = messages_of(transaction);
  ASSERT_GT(messages.size(), 3U);
  EXPECT_EQ(messages.front().type, NFNL_MSG_BATCH_BEGIN);
  EXPECT_EQ(messages.back().type, NFNL_MSG_BATCH_END);
  for (const Message& message : messages) {
    EXPECT_TRUE(message.flags & NLM_F_REQUEST);
    EXPECT_EQ((message.flags & NLM_F_ACK) != 0, message.sequence == transaction.last_sequence);
  }
  EXPECT_EQ(transaction.first_sequence, messages.front().sequence);
  EXPECT_EQ(transaction.last_sequence, messages[messages.size() - 2].sequence);
}

TEST(Transaction, OfNothingIsEmpty) {
  EXPECT_TRUE(change({}, {}).empty());
  EXPECT_TRUE(change(everything(), everything()).empty());
  EXPECT_FALSE(change({}, everything()).empty());
}

TEST(Transaction, CanBeTiedToAGeneration) {
  const auto bytes_with = [](std::optional<std::uint32_t> generation) { return TransactionBuilder{"hanat", 1, generation}.finish().bytes; };
  const auto tied = bytes_with(0x01020304);
  EXPECT_EQ(tied.size(), bytes_with(std::nullopt).size() + 8);
  const std::array<std::uint8_t, 4> network_order{1, 2, 3, 4};
  EXPECT_FALSE(std::ranges::search(tied, network_order).empty());
}

TEST(Transaction, DeletesBeforeItAdds) {
  Rules to = everything();
  to.target.begin()->second.server.port = 1;
  to.stale.clear();
  const auto messages = messages_of(change(everything(), to));
  const auto is_add = [](const Message& message) { return message.type == nft(NFT_MSG_NEWSETELEM); };
  const auto is_delete = [](const Message& message) { return message.type == nft(NFT_MSG_DELSETELEM); };
  const auto first_add = std::ranges::find_if(messages, is_add);
  ASSERT_NE(first_add, messages.end());
  EXPECT_TRUE(std::any_of(messages.begin(), first_add, is_delete));
  EXPECT_TRUE(std::none_of(first_add, messages.end(), is_delete));
}

TEST(Transaction, AnElementListNeverOutgrowsItsAttribute) {
  Rules rules;
  const std::string longest(127, 'c');
  for (std::uint16_t port = 1; port <= 1'000; ++port) {
    const Vip listen = vip("2001:db8:1111:2222:3333:4444:5555:6666", port);
    const Endpoint server = endpoint("fd00:1111:2222:3333:4444:5555:6666:7777", port);
    rules.known[listen] = longest;
    rules.target[listen] = {server, longest};
    rules.source[{listen, server}] = {{SnatKind::address, server.address}, longest};
  }
  std::size_t lists = 0;
  for (const Message& message : messages_of(change({}, rules))) {
    EXPECT_LT(message.length, 65'535U);
    lists += message.type == nft(NFT_MSG_NEWSETELEM);
  }
  EXPECT_EQ(lists, 3U * 6) << "1,000 elements are six lists of at most 190";
}

TEST(Difference, NamesOnlyWhatDiffers) {
  const Rules from = everything();
  Rules to = from;
  EXPECT_TRUE(sizes(difference(from, to).deleted).empty());
  EXPECT_TRUE(sizes(difference(from, to).added).empty());
  to.target.at(vip("203.0.113.10", 443)).server.port = 1;
  to.stale.erase({vip("2001:db8::10", 443), endpoint("fd00:2::2", 8443)});
  to.moved[vip("203.0.113.12", 443)] = "more";
  EXPECT_EQ(sizes(difference(from, to).deleted), (Sizes{{"target4", 1}, {"stale6", 1}}));
  EXPECT_EQ(sizes(difference(from, to).added), (Sizes{{"target4", 1}, {"moved4", 1}}));
}

TEST(Difference, TheWayBackIsTheSameTurnedRound) {
  const Rules all = everything();
  EXPECT_EQ(sizes(difference({}, all).added), sizes(difference(all, {}).deleted));
  EXPECT_TRUE(sizes(difference(all, {}).added).empty());
  EXPECT_EQ(sizes(difference({}, all).added), (Sizes{{"known4", 2},
                                                     {"known6", 2},
                                                     {"target4", 1},
                                                     {"target6", 1},
                                                     {"refused4", 1},
                                                     {"refused6", 1},
                                                     {"stale4", 1},
                                                     {"stale6", 1},
                                                     {"moved4", 1},
                                                     {"moved6", 1},
                                                     {"hold4", 1},
                                                     {"hold6", 1},
                                                     {"masquerade4", 1},
                                                     {"masquerade6", 1},
                                                     {"source4", 1},
                                                     {"source6", 1}}));
}

TEST(Difference, ASourceThatChangesItsKindChangesItsMap) {
  const Mapping key{vip("203.0.113.10", 443), endpoint("198.18.1.2", 8443)};
  Rules from, to;
  from.source[key] = {{SnatKind::masquerade, {}}, "web primary"};
  to.source[key] = {{SnatKind::address, address("198.18.1.1")}, "web primary"};
  EXPECT_EQ(sizes(difference(from, to).deleted), (Sizes{{"masquerade4", 1}}));
  EXPECT_EQ(sizes(difference(from, to).added), (Sizes{{"source4", 1}}));
}

TEST(Difference, ARangeIsInSetsOfItsOwn) {
  Rules rules;
  for (const char* where : {"203.0.113.10", "2001:db8::10"}) {
    Vip range = vip(where, 5000);
    range.last = 9000;
    const Endpoint server = endpoint(range.address.family() == Family::ipv4 ? "198.18.1.2" : "fd00:1::2", 0);
    rules.known[range] = "sip";
    rules.target[range] = {server, "sip primary"};
    rules.refused[range] = {Refusal::drop, "sip"};
    rules.stale[{range, server}] = "sip primary";
    rules.moved[range] = "sip";
    rules.hold[{range, server}] = "sip primary";
    rules.source[{range, server}] = {{SnatKind::masquerade, {}}, "sip primary"};
  }
  Sizes expected;
  for (const char* name : {"known", "target", "refused", "stale", "moved", "hold", "masquerade"})
    for (const char* rest : {"4_ranges", "6_ranges"}) expected[std::string{name} + rest] = 1;
  EXPECT_EQ(sizes(difference({}, rules).added), expected);
  EXPECT_EQ(sizes(difference(rules, {}).deleted), expected);
  Rules wider;
  Vip every = vip("203.0.113.10", 5000);
  every.last = 9001;
  wider.known[every] = "sip";
  EXPECT_EQ(sizes(difference(rules, wider).added), (Sizes{{"known4_ranges", 1}})) << "another end is another element";
}

TEST(Difference, ANewCommentIsANewElement) {
  Rules from, to;
  from.known[vip("203.0.113.10", 443)] = "web";
  to.known[vip("203.0.113.10", 443)] = "shop";
  EXPECT_EQ(sizes(difference(from, to).deleted), (Sizes{{"known4", 1}}));
  EXPECT_EQ(sizes(difference(from, to).added), (Sizes{{"known4", 1}}));
}

TEST(Armed, CountsWhatIsRefusedStaleOrMovedByAddress) {
  const Armed expected{
      {address("203.0.113.10"), 2}, {address("203.0.113.11"), 1}, {address("2001:db8::10"), 2}, {address("2001:db8::11"), 1}};
  EXPECT_EQ(armed_by(everything()), expected);
  Rules peace = everything();
  peace.refused.clear();
  peace.stale.clear();
  peace.moved.clear();
  EXPECT_TRUE(armed_by(peace).empty());
}

} // namespace
} // namespace hanat::nat
