// The bytes of a batch. Not here: what the kernel makes of them (netns/nat/nftables/table_test).
#include "nat/nftables/transaction.hpp"

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

#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

Address address(const std::string& text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}
Vip vip(const std::string& where, std::uint16_t port, Protocol protocol = Protocol::tcp) { return {address(where), protocol, port}; }
Endpoint endpoint_at(const std::string& where, std::uint16_t port) { return {address(where), port}; }

/// Something in every set of both families.
TableState everything() {
  TableState state;
  for (const bool six : {false, true}) {
    const Vip web = vip(six ? "2001:db8::10" : "203.0.113.10", 443);
    const Vip shop = vip(six ? "2001:db8::11" : "203.0.113.11", 53, Protocol::udp);
    const Endpoint primary = endpoint_at(six ? "fd00:1::2" : "198.18.1.2", 8443);
    const Endpoint backup = endpoint_at(six ? "fd00:2::2" : "198.18.2.2", 8443);
    state.vips[web] = "web";
    state.vips[shop] = "shop";
    state.dnat[web] = {primary, "web primary"};
    state.reject[shop] = {Refusal::reject, "shop"};
    state.stale[{web, backup}] = "web backup";
    state.recent[web] = "web";
    state.hold[{web, primary}] = "web primary";
    state.snat[{web, primary}] = {{SnatKind::masquerade, {}}, "web primary"};
    state.snat[{web, backup}] = {{SnatKind::address, primary.address}, "web backup"};
  }
  return state;
}

/// The header of one message of a batch.
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
  EXPECT_EQ(left, 0) << "the batch consists of whole messages";
  return messages;
}

Transaction change(const TableState& from, const TableState& to, std::uint32_t first_sequence = 7) {
  Difference changes = difference(from, to);
  add_shared(changes, gates_of(from), {});
  return TransactionBuilder{"hanat", first_sequence}.change(changes).finish();
}
Transaction whole_table(const TableState& state) {
  Difference all = difference({}, state);
  add_shared(all, {}, {});
  TransactionBuilder builder{"hanat", 7};
  return builder.delete_table().add_table(0).add_layout().change(all).finish();
}

/// The number of elements for each set: "dnat4: 1".
std::map<std::string, std::size_t> sizes(const ElementLists& lists) {
  std::map<std::string, std::size_t> result;
  for (const auto& [id, list] : lists)
    if (!list.empty()) result[name_of(id)] = list.size();
  return result;
}
using Sizes = std::map<std::string, std::size_t>;

TEST(Transaction, TheSameInputIsTheSameBytes) {
  const TableState state = everything();
  const auto first = whole_table(state).bytes;
  TableState long_comments = state; // something longer in between: no byte of it may remain
  for (auto& [key, comment] : long_comments.vips) comment = std::string(120, 'x');
  whole_table(long_comments);
  EXPECT_EQ(whole_table(state).bytes, first);
  EXPECT_EQ(change({}, state).bytes, change({}, state).bytes);
  EXPECT_EQ(change(state, {}).bytes, change(state, {}).bytes);
}

TEST(Transaction, EndpointsThatStayAreNotSent) {
  const Vip stays{address("198.18.1.2"), Protocol::tcp, 443}, goes{address("198.18.1.2"), Protocol::tcp, 1000, 2000},
      comes{address("fd00:1::2"), Protocol::udp, 53};
  const auto bytes = [](const EndpointMap& from, const EndpointMap& to) {
    return TransactionBuilder{"hanat", 7}.change(difference(SetKind::servers, from, to)).finish();
  };
  EXPECT_TRUE(bytes({{stays, "web"}}, {{stays, "web"}}).empty());
  EXPECT_EQ(bytes({{stays, "web"}, {goes, "ftp"}}, {{stays, "web"}, {comes, "dns"}}).bytes, bytes({{goes, "ftp"}}, {{comes, "dns"}}).bytes);
}

TEST(Transaction, TheFlowtableGetsItsDevicesInMessagesThatTheKernelTakes) {
  Devices devices;
  for (int number = 0; number < 256; ++number) devices.insert("eth" + std::to_string(number));
  TransactionBuilder builder{"hanat", 7};
  const auto messages = messages_of(builder.add_offloading().change_devices({"wg0"}, devices).finish());
  std::vector<int> types;
  for (const Message& message : messages) types.push_back(message.type & 0xff);
  EXPECT_EQ(std::vector(types.begin() + 1, types.begin() + 3), (std::vector<int>{NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWCHAIN}));
  EXPECT_EQ(std::vector(types.end() - 4, types.end() - 1),
            (std::vector<int>{NFT_MSG_DELFLOWTABLE, NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWFLOWTABLE}));
  EXPECT_TRUE(messages[1].flags & NLM_F_EXCL);
  EXPECT_FALSE(messages[messages.size() - 2].flags & NLM_F_EXCL) << "it is there already";
}

TEST(Transaction, OtherSequenceNumbersChangeNothingElse) {
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

TEST(Transaction, IsABatchOfWhichOnlyTheLastMessageIsAcknowledged) {
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

TEST(Transaction, WithoutChangesIsEmpty) {
  EXPECT_TRUE(change({}, {}).empty());
  EXPECT_TRUE(change(everything(), everything()).empty());
  EXPECT_FALSE(change({}, everything()).empty());
}

TEST(Transaction, CanRequireAGeneration) {
  const auto bytes_with = [](std::optional<std::uint32_t> generation) { return TransactionBuilder{"hanat", 1, generation}.finish().bytes; };
  const auto tied = bytes_with(0x01020304);
  EXPECT_EQ(tied.size(), bytes_with(std::nullopt).size() + 8);
  const std::array<std::uint8_t, 4> network_order{1, 2, 3, 4};
  EXPECT_FALSE(std::ranges::search(tied, network_order).empty());
}

TEST(Transaction, DeletesBeforeItAdds) {
  TableState to = everything();
  to.dnat.begin()->second.server.port = 1;
  to.stale.clear();
  const auto messages = messages_of(change(everything(), to));
  const auto is_add = [](const Message& message) { return message.type == nft_type(NFT_MSG_NEWSETELEM); };
  const auto is_delete = [](const Message& message) { return message.type == nft_type(NFT_MSG_DELSETELEM); };
  const auto first_add = std::ranges::find_if(messages, is_add);
  ASSERT_NE(first_add, messages.end());
  EXPECT_TRUE(std::any_of(messages.begin(), first_add, is_delete));
  EXPECT_TRUE(std::none_of(first_add, messages.end(), is_delete));
}

TEST(Transaction, AnElementListNeverExceedsItsAttribute) {
  TableState state;
  const std::string longest(127, 'c');
  for (std::uint16_t port = 1; port <= 1'000; ++port) {
    const Vip listen = vip("2001:db8:1111:2222:3333:4444:5555:6666", port);
    const Endpoint server = endpoint_at("fd00:1111:2222:3333:4444:5555:6666:7777", port);
    state.vips[listen] = longest;
    state.dnat[listen] = {server, longest};
    state.snat[{listen, server}] = {{SnatKind::address, server.address}, longest};
  }
  std::size_t lists = 0;
  for (const Message& message : messages_of(change({}, state))) {
    EXPECT_LT(message.length, 65'535U);
    lists += message.type == nft_type(NFT_MSG_NEWSETELEM);
  }
  EXPECT_EQ(lists, 3U + 1 + 4 + 4 + 1) << "1,000 elements are several lists of at most 64 KiB; and the server's address is one";
}

TEST(Difference, HasOnlyWhatDiffers) {
  const TableState from = everything();
  TableState to = from;
  EXPECT_TRUE(sizes(difference(from, to).deleted).empty());
  EXPECT_TRUE(sizes(difference(from, to).added).empty());
  to.dnat.at(vip("203.0.113.10", 443)).server.port = 1;
  to.stale.erase({vip("2001:db8::10", 443), endpoint_at("fd00:2::2", 8443)});
  to.recent[vip("203.0.113.12", 443)] = "more";
  EXPECT_EQ(sizes(difference(from, to).deleted), (Sizes{{"dnat4", 1}, {"stale6", 1}}));
  EXPECT_EQ(sizes(difference(from, to).added), (Sizes{{"dnat4", 1}, {"recent4", 1}}));
}

TEST(Difference, TheReverseChangeExchangesAddedAndDeleted) {
  const TableState all = everything();
  EXPECT_EQ(sizes(difference({}, all).added), sizes(difference(all, {}).deleted));
  EXPECT_TRUE(sizes(difference(all, {}).added).empty());
  EXPECT_EQ(sizes(difference({}, all).added), (Sizes{{"vips4", 2},
                                                     {"vips6", 2},
                                                     {"flows4", 2},
                                                     {"flows6", 2},
                                                     {"dnat4", 1},
                                                     {"dnat6", 1},
                                                     {"reject4", 1},
                                                     {"reject6", 1},
                                                     {"stale4", 1},
                                                     {"stale6", 1},
                                                     {"recent4", 1},
                                                     {"recent6", 1},
                                                     {"hold4", 1},
                                                     {"hold6", 1},
                                                     {"masquerade4", 1},
                                                     {"masquerade6", 1},
                                                     {"snat4", 1},
                                                     {"snat6", 1}}));
}

TEST(Difference, ASourceOfAnotherKindMovesToAnotherMap) {
  const Mapping key{vip("203.0.113.10", 443), endpoint_at("198.18.1.2", 8443)};
  TableState from, to;
  from.snat[key] = {{SnatKind::masquerade, {}}, "web primary"};
  to.snat[key] = {{SnatKind::address, address("198.18.1.1")}, "web primary"};
  EXPECT_EQ(sizes(difference(from, to).deleted), (Sizes{{"masquerade4", 1}}));
  EXPECT_EQ(sizes(difference(from, to).added), (Sizes{{"snat4", 1}}));
}

TEST(Difference, RangesHaveTheirOwnSets) {
  TableState state;
  for (const char* where : {"203.0.113.10", "2001:db8::10"}) {
    Vip range = vip(where, 5000);
    range.last = 9000;
    const Endpoint server = endpoint_at(range.address.family() == Family::ipv4 ? "198.18.1.2" : "fd00:1::2", 0);
    state.vips[range] = "sip";
    state.dnat[range] = {server, "sip primary"};
    state.reject[range] = {Refusal::drop, "sip"};
    state.stale[{range, server}] = "sip primary";
    state.recent[range] = "sip";
    state.hold[{range, server}] = "sip primary";
    state.snat[{range, server}] = {{SnatKind::masquerade, {}}, "sip primary"};
  }
  Sizes expected;
  for (const char* family : {"4", "6"}) {
    for (const char* name : {"vips", "masquerade"}) expected[std::string{name} + family + "_ranges"] = 1;
    for (const char* name : {"dnat", "reject", "stale", "recent", "hold"}) expected[std::string{name} + family + "_range1"] = 1;
  }
  EXPECT_EQ(sizes(difference({}, state).added), expected);
  EXPECT_EQ(sizes(difference(state, {}).deleted), expected);
  TableState wider;
  Vip every = vip("203.0.113.10", 5000);
  every.last = 9001;
  wider.vips[every] = "sip";
  EXPECT_EQ(sizes(difference(state, wider).added), (Sizes{{"vips4_ranges", 1}})) << "another end is another element";
}

TEST(Difference, ANewCommentIsANewElement) {
  TableState from, to;
  from.vips[vip("203.0.113.10", 443)] = "web";
  to.vips[vip("203.0.113.10", 443)] = "shop";
  EXPECT_EQ(sizes(difference(from, to).deleted), (Sizes{{"vips4", 1}, {"flows4", 1}}));
  EXPECT_EQ(sizes(difference(from, to).added), (Sizes{{"vips4", 1}, {"flows4", 1}}));
}

TEST(Gates, CountEntriesByAddressAndByFamily) {
  const auto guarded = [](const char* text) { return Gate{SetKind::guarded, address(text)}; };
  const auto translated = [](const char* text) { return Gate{SetKind::translated, address(text)}; };
  const Gates servers{
      {translated("198.18.1.2"), 1}, {translated("198.18.2.2"), 1}, {translated("fd00:1::2"), 1}, {translated("fd00:2::2"), 1}};
  const auto guarding = [](const char* unspecified) { return Gate{SetKind::guarding, address(unspecified)}; };
  Gates expected{{guarding("0.0.0.0"), 3},     {guarding("::"), 3},          {guarded("203.0.113.10"), 2},
                 {guarded("203.0.113.11"), 1}, {guarded("2001:db8::10"), 2}, {guarded("2001:db8::11"), 1}};
  expected.insert(servers.begin(), servers.end());
  EXPECT_EQ(gates_of(everything()), expected);
  TableState normal = everything();
  normal.reject.clear();
  normal.stale.clear();
  normal.recent.clear();
  EXPECT_EQ(gates_of(normal), servers) << "no server lost its traffic";
  normal.snat.clear();
  EXPECT_TRUE(gates_of(normal).empty());
}

} // namespace
} // namespace hanat::nat
