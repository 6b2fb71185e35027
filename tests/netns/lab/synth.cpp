// nfct_nlmsg_build on the way in, nfct_nlmsg_parse on the way out.
#include "tests/netns/lab/synth.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>

#include <linux/netfilter/nfnetlink.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

namespace hanat::test {
namespace {

constexpr std::size_t datagram_bytes = 60'000;
constexpr std::uint32_t lifetime_s = 600;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
struct Destroy {
  void operator()(nf_conntrack* entry) const { nfct_destroy(entry); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;
using Conntrack = std::unique_ptr<nf_conntrack, Destroy>;

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

Socket open_socket() {
  Socket socket{mnl_socket_open(NETLINK_NETFILTER)};
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) fail("open a netlink socket");
  const int size = 16 << 20;
  for (const int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE})
    setsockopt(mnl_socket_get_fd(socket.get()), SOL_SOCKET, option, &size, sizeof size);
  return socket;
}

void set_address(nf_conntrack& entry, nf_conntrack_attr v4, nf_conntrack_attr v6, const Address& address) {
  nfct_set_attr(&entry, address.family() == Family::ipv4 ? v4 : v6, address.bytes().data());
}

void set_end(nf_conntrack& entry, bool original, const Endpoint& source, const Endpoint& destination, Protocol protocol) {
  const auto l3 = static_cast<std::uint8_t>(source.address.family() == Family::ipv4 ? AF_INET : AF_INET6);
  nfct_set_attr_u8(&entry, original ? ATTR_ORIG_L3PROTO : ATTR_REPL_L3PROTO, l3);
  nfct_set_attr_u8(&entry, original ? ATTR_ORIG_L4PROTO : ATTR_REPL_L4PROTO, static_cast<std::uint8_t>(protocol));
  set_address(entry, original ? ATTR_ORIG_IPV4_SRC : ATTR_REPL_IPV4_SRC, original ? ATTR_ORIG_IPV6_SRC : ATTR_REPL_IPV6_SRC,
              source.address);
  set_address(entry, original ? ATTR_ORIG_IPV4_DST : ATTR_REPL_IPV4_DST, original ? ATTR_ORIG_IPV6_DST : ATTR_REPL_IPV6_DST,
              destination.address);
  nfct_set_attr_u16(&entry, original ? ATTR_ORIG_PORT_SRC : ATTR_REPL_PORT_SRC, htons(source.port));
  nfct_set_attr_u16(&entry, original ? ATTR_ORIG_PORT_DST : ATTR_REPL_PORT_DST, htons(destination.port));
}

void set_master(nf_conntrack& entry, const Endpoint& source, const Endpoint& destination, Protocol protocol) {
  nfct_set_attr_u8(&entry, ATTR_MASTER_L3PROTO, static_cast<std::uint8_t>(source.address.family() == Family::ipv4 ? AF_INET : AF_INET6));
  nfct_set_attr_u8(&entry, ATTR_MASTER_L4PROTO, static_cast<std::uint8_t>(protocol));
  set_address(entry, ATTR_MASTER_IPV4_SRC, ATTR_MASTER_IPV6_SRC, source.address);
  set_address(entry, ATTR_MASTER_IPV4_DST, ATTR_MASTER_IPV6_DST, destination.address);
  nfct_set_attr_u16(&entry, ATTR_MASTER_PORT_SRC, htons(source.port));
  nfct_set_attr_u16(&entry, ATTR_MASTER_PORT_DST, htons(destination.port));
}

void describe(nf_conntrack& entry, const Flow& flow) {
  const Vip& vip = flow.mapping.vip;
  set_end(entry, true, flow.client, {.address = vip.address, .port = vip.port}, vip.protocol);
  set_end(entry, false, flow.mapping.server, flow.translated.value_or(flow.client), vip.protocol);
  if (flow.master_from && flow.master_to) set_master(entry, *flow.master_from, *flow.master_to, vip.protocol);
  nfct_set_attr_u32(&entry, ATTR_TIMEOUT, lifetime_s);
  nfct_set_attr_u32(&entry, ATTR_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
  nfct_set_attr_u32(&entry, ATTR_MARK, flow.mark);
  if (flow.zone != 0) nfct_set_attr_u16(&entry, ATTR_ZONE, flow.zone);
  if (vip.protocol == Protocol::tcp) nfct_set_attr_u8(&entry, ATTR_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
}

/// Reads until the acknowledgement of `last`; any refusal throws.
void await(mnl_socket& socket, std::uint32_t last) {
  std::array<std::uint8_t, 65536> buffer{};
  for (;;) {
    const ssize_t length = mnl_socket_recvfrom(&socket, buffer.data(), buffer.size());
    if (length < 0) fail("read the answer to new conntrack entries");
    int left = static_cast<int>(length);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      errno = -static_cast<nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
      if (errno != 0) fail("make a conntrack entry");
      if (header->nlmsg_seq == last) return;
    }
  }
}

Endpoint end_of(nf_conntrack& entry, nf_conntrack_attr v4, nf_conntrack_attr v6, nf_conntrack_attr port) {
  const bool is_v4 = nfct_get_attr_u8(&entry, ATTR_ORIG_L3PROTO) == AF_INET;
  const auto* bytes = static_cast<const std::uint8_t*>(nfct_get_attr(&entry, is_v4 ? v4 : v6));
  return {.address = Address::from_bytes({bytes, is_v4 ? 4U : 16U}), .port = ntohs(nfct_get_attr_u16(&entry, port))};
}

int collect(const nlmsghdr* header, void* data) {
  const Conntrack entry{nfct_new()};
  if (nfct_nlmsg_parse(header, entry.get()) < 0) return MNL_CB_OK;
  const std::uint8_t protocol = nfct_get_attr_u8(entry.get(), ATTR_ORIG_L4PROTO);
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_SCTP) return MNL_CB_OK;
  const Endpoint vip = end_of(*entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST, ATTR_ORIG_PORT_DST);
  const Endpoint client = end_of(*entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, ATTR_ORIG_PORT_SRC);
  const Endpoint reply_to = end_of(*entry, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST, ATTR_REPL_PORT_DST);
  Flow flow{.mapping = {.vip = {.address = vip.address, .protocol = static_cast<Protocol>(protocol), .port = vip.port},
                        .server = end_of(*entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, ATTR_REPL_PORT_SRC)},
            .client = client,
            .translated = reply_to == client ? std::nullopt : std::optional{reply_to},
            .zone = nfct_attr_is_set(entry.get(), ATTR_ZONE) > 0 ? nfct_get_attr_u16(entry.get(), ATTR_ZONE) : std::uint16_t{0},
            .mark = nfct_attr_is_set(entry.get(), ATTR_MARK) > 0 ? nfct_get_attr_u32(entry.get(), ATTR_MARK) : 0};
  if (nfct_attr_is_set(entry.get(), ATTR_MASTER_PORT_SRC) > 0) {
    flow.master_from = end_of(*entry, ATTR_MASTER_IPV4_SRC, ATTR_MASTER_IPV6_SRC, ATTR_MASTER_PORT_SRC);
    flow.master_to = end_of(*entry, ATTR_MASTER_IPV4_DST, ATTR_MASTER_IPV6_DST, ATTR_MASTER_PORT_DST);
  }
  static_cast<std::vector<Flow>*>(data)->push_back(flow);
  return MNL_CB_OK;
}

Address numbered_client(Family family, std::size_t number) {
  if (family == Family::ipv4) {
    const std::size_t host = 0xc6120000U + 1 + number / 60'000; // 198.18.0.0/15
    const std::array<std::uint8_t, 4> bytes{static_cast<std::uint8_t>(host >> 24), static_cast<std::uint8_t>(host >> 16),
                                            static_cast<std::uint8_t>(host >> 8), static_cast<std::uint8_t>(host)};
    return Address::from_bytes(bytes);
  }
  std::array<std::uint8_t, 16> bytes{0xfd, 0x00, 0x00, 0x0c};
  bytes[14] = static_cast<std::uint8_t>((1 + number / 60'000) >> 8);
  bytes[15] = static_cast<std::uint8_t>(1 + number / 60'000);
  return Address::from_bytes(bytes);
}

} // namespace

void synthesise(std::span<const Flow> flows) {
  const Socket socket = open_socket();
  std::vector<std::uint8_t> datagram(datagram_bytes + 1024);
  std::size_t used = 0;
  std::uint32_t sequence = 0;
  for (std::size_t i = 0; i < flows.size(); ++i) {
    const Conntrack entry{nfct_new()};
    describe(*entry, flows[i]);
    nlmsghdr* const header = mnl_nlmsg_put_header(datagram.data() + used);
    header->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
    header->nlmsg_seq = ++sequence;
    auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    netfilter->nfgen_family = flows[i].client.address.family() == Family::ipv4 ? AF_INET : AF_INET6;
    netfilter->version = NFNETLINK_V0;
    nfct_nlmsg_build(header, entry.get());
    used += header->nlmsg_len;
    if (used < datagram_bytes && i + 1 < flows.size()) continue;
    header->nlmsg_flags |= NLM_F_ACK;
    if (mnl_socket_sendto(socket.get(), datagram.data(), used) < 0) fail("send new conntrack entries");
    await(*socket, sequence);
    std::memset(datagram.data(), 0, used);
    used = 0;
  }
}

std::vector<Flow> flows_of(const Mapping& mapping, std::size_t count, std::size_t first) {
  std::vector<Flow> flows;
  flows.reserve(count);
  for (std::size_t number = first; number < first + count; ++number) {
    const auto port = static_cast<std::uint16_t>(1024 + number % 60'000);
    flows.push_back({.mapping = mapping, .client = {.address = numbered_client(mapping.vip.address.family(), number), .port = port}});
  }
  return flows;
}

std::vector<Flow> opened_by_server(std::vector<Flow> flows) {
  for (Flow& flow : flows) {
    const auto [vip, server] = flow.mapping;
    flow.translated = Endpoint{.address = vip.address, .port = vip.port};
    flow.mapping = {.vip = {.address = flow.client.address, .protocol = vip.protocol, .port = flow.client.port}, .server = flow.client};
    flow.client = server;
  }
  return flows;
}

std::vector<Flow> conntrack_entries() {
  const Socket socket = open_socket();
  std::vector<Flow> flows;
  std::vector<std::uint8_t> buffer(std::size_t{256} << 10);
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = 1;
  mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg));
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) fail("ask for all conntrack entries");
  for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
    const ssize_t length = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (length < 0) fail("read conntrack entries");
    more = mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 1, mnl_socket_get_portid(socket.get()), collect, &flows);
    if (more < 0) fail("read conntrack entries");
  }
  std::ranges::sort(flows);
  return flows;
}

std::size_t count_entries(const std::function<bool(const Flow&)>& passes) {
  return static_cast<std::size_t>(std::ranges::count_if(conntrack_entries(), passes));
}

Address address(const std::string& text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text + " is no address");
  return *parsed;
}
Vip vip(const std::string& text, std::uint16_t port, Protocol protocol) {
  return {.address = address(text), .protocol = protocol, .port = port};
}
Endpoint endpoint(const std::string& text, std::uint16_t port) { return {.address = address(text), .port = port}; }

} // namespace hanat::test
