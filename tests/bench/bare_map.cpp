// DELSETELEM, NEWSETELEM, one acknowledgement.
#include "tests/bench/bare_map.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "tests/netns/lab/process.hpp"

namespace hanat::bench {
namespace {

constexpr std::uint16_t elements_a_message = 500; // 40 bytes each: one attribute holds 64 KiB
constexpr std::uint16_t server_port = 8443;

[[noreturn]] void fail(int error, const char* what) { throw std::system_error(error, std::generic_category(), what); }

struct Key {
  std::array<std::uint8_t, 4> address{203, 0, 113, 10};
  std::array<std::uint8_t, 4> protocol{IPPROTO_TCP};
  std::uint16_t port = 0, padding = 0;
};
struct Data {
  std::array<std::uint8_t, 4> address{198, 18, 0, 2};
  std::uint16_t port = htons(server_port), padding = 0;
};

template <typename Value> void put(nlmsghdr* header, std::uint16_t type, const Value& value) {
  nlattr* const nest = mnl_attr_nest_start(header, type);
  mnl_attr_put(header, NFTA_DATA_VALUE, sizeof value, &value);
  mnl_attr_nest_end(header, nest);
}

} // namespace

BareMap::BareMap(std::uint16_t elements) : batch_(std::size_t{1} << 20) {
  std::string script =
      "table inet bare {\nmap target {\ntype ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service\nelements = {\n";
  for (std::uint32_t port = 1; port <= elements; ++port)
    script += fmt::format("203.0.113.10 . tcp . {} : 198.18.11.2 . {},\n", port, server_port);
  const test::Output made = test::collect({"nft", "-f", "-"}, std::chrono::seconds{60}, script + "}\n}\n}\n");
  if (made.exit != 0) throw std::runtime_error("nft: " + made.err);
  socket_.reset(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) fail(errno, "open a netlink socket");
  const int size = 8 << 20;
  setsockopt(mnl_socket_get_fd(socket_.get()), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
}

nlmsghdr* BareMap::message(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr* const header = mnl_nlmsg_put_header(batch_.data() + used_);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | flags;
  header->nlmsg_seq = ++sequence_;
  auto* const extra = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  *extra = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0, .res_id = 0};
  return header;
}

void BareMap::batch_mark(std::uint16_t type) {
  nlmsghdr* const header = message(type, 0);
  auto* const batch = static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header));
  batch->nfgen_family = AF_UNSPEC;
  batch->res_id = htons(NFNL_SUBSYS_NFTABLES);
  used_ += header->nlmsg_len;
}

void BareMap::elements(std::uint16_t type, std::uint16_t flags, std::uint16_t first, std::uint16_t count, std::uint8_t server) {
  Key key;
  Data data;
  data.address[2] = server;
  nlmsghdr* const header = message(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags);
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, "bare");
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, "target");
  nlattr* const list = mnl_attr_nest_start(header, NFTA_SET_ELEM_LIST_ELEMENTS);
  for (std::uint32_t port = first; port < std::uint32_t{first} + count; ++port) {
    nlattr* const element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
    key.port = htons(static_cast<std::uint16_t>(port));
    put(header, NFTA_SET_ELEM_KEY, key);
    if (type == NFT_MSG_NEWSETELEM) put(header, NFTA_SET_ELEM_DATA, data);
    mnl_attr_nest_end(header, element);
  }
  mnl_attr_nest_end(header, list);
  used_ += header->nlmsg_len;
}

void BareMap::replace(std::uint16_t first, std::uint16_t count, std::uint8_t server) {
  used_ = 0;
  batch_mark(NFNL_MSG_BATCH_BEGIN);
  for (const std::uint16_t type : {std::uint16_t{NFT_MSG_DELSETELEM}, std::uint16_t{NFT_MSG_NEWSETELEM}})
    for (std::uint16_t done = 0; done < count; done = static_cast<std::uint16_t>(done + elements_a_message)) {
      const auto part = std::min<std::uint16_t>(elements_a_message, static_cast<std::uint16_t>(count - done));
      const bool last = type == NFT_MSG_NEWSETELEM && done + part == count;
      const int flags = (type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0) | (last ? NLM_F_ACK : 0);
      elements(type, static_cast<std::uint16_t>(flags), static_cast<std::uint16_t>(first + done), part, server);
    }
  const std::uint32_t acknowledged = sequence_;
  batch_mark(NFNL_MSG_BATCH_END);
  if (mnl_socket_sendto(socket_.get(), batch_.data(), used_) < 0) fail(errno, "send the bare batch");
  read_acknowledgement(acknowledged);
}

void BareMap::read_acknowledgement(std::uint32_t sequence) {
  std::array<std::uint8_t, 8192> buffer;
  for (bool done = false; !done;) {
    const ssize_t length = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (length < 0) fail(errno, "read the bare batch's acknowledgement");
    int left = static_cast<int>(length);
    for (auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      const int error = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
      if (error != 0) fail(error, "the bare batch");
      done |= header->nlmsg_seq == sequence;
    }
  }
}

} // namespace hanat::bench
