// Sends, waits and sends again; a reply is matched by the client's port and, for TCP, by the number that it acknowledges.
#include "daemon/doctor/synthetic_client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <system_error>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "daemon/doctor/packet_watch.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// Below the ports of probes, above those that a rule of the operator may treat in a special way.
constexpr std::uint16_t first_port = 10'000, ports = 50'000;
constexpr auto longest_poll = 50ms; // how long a cancelled run may go on

Address parsed(const char* text) { return Address::parse(text).value_or(Address{}); }

constexpr const char *ipv4_net = "198.19.0.0", *ipv6_net = "fd68:616e:6174::";
constexpr std::uint8_t doctor_number = 0xfd, path_check_number = 0xfe;

/// The table decides on a byte; that of "hanat" is documented.
ClientAddresses addresses_of(const std::string& table, std::uint8_t number) {
  const bool usual = table == "hanat";
  const auto byte = static_cast<std::uint8_t>(std::hash<std::string>{}(table) % 255);
  const auto with = [&](const char* net, std::size_t place, std::uint8_t value) {
    const Address base = parsed(net);
    std::vector<std::uint8_t> bytes(base.bytes().begin(), base.bytes().end());
    bytes[place] = value;
    bytes.back() = number;
    return Address::from_bytes(bytes);
  };
  return {.ipv4 = with(ipv4_net, 2, usual ? 0xff : byte), .ipv6 = with(ipv6_net, 7, usual ? 0 : static_cast<std::uint8_t>(byte + 1))};
}

std::uint32_t random32() {
  static thread_local std::random_device device;
  return device();
}

bool is_port_unreachable(const ClientReply& reply) {
  if (reply.client.address.family() == Family::ipv4) return reply.type == ICMP_DEST_UNREACH && reply.code == ICMP_PORT_UNREACH;
  return reply.type == ICMP6_DST_UNREACH && reply.code == ICMP6_DST_UNREACH_NOPORT;
}

std::string name_of_interface(int index) {
  std::array<char, IF_NAMESIZE> name{};
  return if_indextoname(static_cast<unsigned>(index), name.data()) == nullptr ? std::string{} : std::string{name.data()};
}

} // namespace

ClientAddresses doctor_client(const std::string& table) { return addresses_of(table, doctor_number); }
ClientAddresses path_check_client(const std::string& table) { return addresses_of(table, path_check_number); }
bool is_own_client(const Address& address) {
  const auto bytes = address.bytes();
  const Address net = parsed(address.family() == Family::ipv4 ? ipv4_net : ipv6_net);
  const auto of_net = net.bytes();
  const std::size_t prefix = address.family() == Family::ipv4 ? 2 : 6;
  return std::ranges::equal(bytes.first(prefix), of_net.first(prefix)) &&
         (bytes.back() == doctor_number || bytes.back() == path_check_number);
}

/// One call of run().
struct SyntheticClient::Run {
  struct Flow {
    Endpoint client, vip;
    std::uint32_t sequence = 0;
    Packet packet;
    Clock::time_point sent{};
    unsigned tries = 0;
    bool done = false;
    FlowResult result;
  };
  Run(std::span<const ClientFlow> wanted_flows, const Options& with) : options(with), upper(static_cast<std::uint16_t>(random32())) {
    flows.resize(wanted_flows.size());
    ready.resize(wanted_flows.size());
  }
  Options options;
  std::uint16_t upper; // of the sequence numbers of all flows
  std::vector<Flow> flows;
  std::vector<Clock::time_point> ready; // when the first packet of each is due
  std::map<std::pair<Protocol, std::uint16_t>, std::size_t> by_port;
  std::size_t left = 0; // flows that are not done

  Flow* find(const ClientReply& reply) {
    const auto found = by_port.find({reply.protocol, reply.client.port});
    return found == by_port.end() || flows[found->second].client != reply.client ? nullptr : &flows[found->second];
  }
  void finish(Flow& flow) {
    if (!flow.done) --left;
    flow.done = true;
  }
};

SyntheticClient::SyntheticClient(const std::string& table, const ClientAddresses& addresses)
    : addresses_(addresses), link_(table, {addresses.ipv4, addresses.ipv6}), socket_(open_packet_socket(link_.outer_index())) {}

/// A packet that the kernel does not take is like one that is lost: it is sent once more, and then silence is the result.
void SyntheticClient::send(Family family, const Packet& packet) const {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(family == Family::ipv4 ? ETH_P_IP : ETH_P_IPV6);
  to.sll_ifindex = static_cast<int>(link_.outer_index());
  const auto hardware = link_.inner_hardware();
  to.sll_halen = static_cast<unsigned char>(hardware.size());
  std::memcpy(to.sll_addr, hardware.data(), hardware.size());
  static_cast<void>(sendto(socket_.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to));
}

void SyntheticClient::take(Run& run, const ClientReply& reply, Clock::time_point now) const {
  Run::Flow* const flow = run.find(reply);
  if (flow == nullptr || flow->tries == 0) return;
  const bool tcp_reply = reply.kind == ReplyKind::syn_ack || reply.kind == ReplyKind::reset;
  if (flow->vip != reply.peer || (tcp_reply && reply.acknowledged != flow->sequence + 1)) return;
  // Also a second SYN-ACK is reset: the reset of the first may be lost, and the server must not keep a half-open connection.
  if (reply.kind == ReplyKind::syn_ack)
    send(flow->client.address.family(), tcp_packet(flow->client, flow->vip, TH_RST, reply.acknowledged));
  if (flow->done) return;
  flow->result.latency = now - flow->sent;
  switch (reply.kind) {
  case ReplyKind::syn_ack:
  case ReplyKind::datagram: flow->result.outcome = FlowOutcome::answered; break;
  case ReplyKind::reset: flow->result.outcome = FlowOutcome::refused; break;
  case ReplyKind::icmp_error:
    flow->result.outcome = is_port_unreachable(reply) ? FlowOutcome::refused : FlowOutcome::unreachable;
    flow->result.error = reply;
    break;
  case ReplyKind::echo_reply: return;
  }
  run.finish(*flow);
}

void SyntheticClient::receive(Run& run) {
  std::array<std::uint8_t, 2'048> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recvfrom
  for (;;) {
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t bytes = recvfrom(socket_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return;
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    if (const auto reply = parse_reply(std::span{buffer}.first(static_cast<std::size_t>(bytes)))) take(run, *reply, Clock::now());
  }
}

/// Notes by which interface a SYN left, and by which a reply to it came in.
void SyntheticClient::follow(Run& run, int socket) const {
  std::array<std::uint8_t, 256> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recvfrom
  for (;;) {
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t bytes = recvfrom(socket, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return;
    const auto index = static_cast<unsigned>(from.sll_ifindex);
    if (index == link_.inner_index() || index == link_.outer_index()) continue;
    const auto segment = parse_segment(std::span{buffer}.first(static_cast<std::size_t>(bytes)));
    if (!segment) continue;
    const bool outgoing = from.sll_pkttype == PACKET_OUTGOING;
    const std::uint32_t number = outgoing ? segment->sequence : segment->acknowledged - 1;
    const std::size_t flow = (number & 0xffffU) / 2;
    if (flow >= run.flows.size() || run.flows[flow].sequence != number) continue;
    FlowResult& result = run.flows[flow].result;
    if (outgoing && (segment->flags & TH_SYN) != 0 && (segment->flags & TH_ACK) == 0) result.left_by = name_of_interface(from.sll_ifindex);
    if (!outgoing && (segment->flags & TH_ACK) != 0) result.back_by = name_of_interface(from.sll_ifindex);
  }
}

/// Sends what is due, and ends what waited long enough; when the next of these is due.
Clock::time_point SyntheticClient::advance(Run& run, Clock::time_point now) const {
  Clock::time_point next = now + longest_poll;
  for (std::size_t index = 0; index < run.flows.size(); ++index) {
    Run::Flow& flow = run.flows[index];
    if (flow.done) continue;
    if (flow.tries > 0 && now >= flow.sent + run.options.wait) {
      run.finish(flow);
      // Its reply may be lost on the way back: the server is not to wait for more.
      if (!flow.packet.empty() && run.by_port.contains({Protocol::tcp, flow.client.port}))
        send(flow.client.address.family(), tcp_packet(flow.client, flow.vip, TH_RST, flow.sequence + 1));
      continue;
    }
    const Clock::time_point due = flow.tries == 0 ? run.ready[index] : flow.sent + run.options.retry;
    if (flow.tries < 2 && now >= due) {
      if (flow.tries++ == 0) flow.sent = now;
      send(flow.client.address.family(), flow.packet);
    }
    next = std::min(next, flow.tries == 0   ? run.ready[index]
                          : flow.tries == 1 ? std::min(flow.sent + run.options.retry, flow.sent + run.options.wait)
                                            : flow.sent + run.options.wait);
  }
  return next;
}

std::vector<FlowResult> SyntheticClient::run(std::span<const ClientFlow> flows, const Options& options,
                                             const std::atomic<bool>& cancelled) {
  Run run(flows, options);
  const Fd watch = options.watch ? watch_segments(run.upper) : Fd{};
  const std::uint32_t start_port = random32() % ports;
  Clock::time_point due = Clock::now();
  for (std::size_t index = 0; index < flows.size(); ++index) {
    const Vip& vip = flows[index].vip;
    Run::Flow& flow = run.flows[index];
    flow.vip = {vip.address, vip.port};
    flow.client = {addresses_.of(vip.address.family()), static_cast<std::uint16_t>(first_port + (start_port + index) % ports)};
    flow.sequence = std::uint32_t{run.upper} << 16U | static_cast<std::uint32_t>(index * 2 & 0xffffU);
    flow.result.client = flow.client;
    const bool known = vip.protocol == Protocol::tcp || (vip.protocol == Protocol::udp && !flows[index].payload.empty());
    if (!known || !link_.carries(vip.address.family())) {
      flow.result.outcome = FlowOutcome::not_sent;
      flow.done = true;
      continue;
    }
    flow.packet = vip.protocol == Protocol::tcp ? tcp_packet(flow.client, flow.vip, TH_SYN, flow.sequence)
                                                : udp_packet(flow.client, flow.vip, flows[index].payload);
    run.by_port[{vip.protocol, flow.client.port}] = index;
    run.ready[index] = due;
    due += options.spacing;
    ++run.left;
  }
  while (run.left > 0 && !cancelled) {
    const auto next = advance(run, Clock::now());
    std::array<pollfd, 2> fds{{{socket_.get(), POLLIN, 0}, {watch.get(), POLLIN, 0}}};
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    static_cast<void>(poll(fds.data(), watch ? 2 : 1, static_cast<int>(std::max<std::int64_t>(wait.count(), 0))));
    if (watch) follow(run, watch.get());
    receive(run);
  }
  if (watch) follow(run, watch.get());
  std::vector<FlowResult> results;
  results.reserve(run.flows.size());
  for (Run::Flow& flow : run.flows) results.push_back(std::move(flow.result));
  return results;
}

bool SyntheticClient::pings(const Address& server, Clock::duration wait) {
  const Family family = server.family();
  if (!link_.carries(family)) return false;
  const auto id = static_cast<std::uint16_t>(random32());
  send(family, echo_request(addresses_.of(family), server, id));
  for (const auto end = Clock::now() + wait; Clock::now() < end;) {
    pollfd fd{socket_.get(), POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    if (poll(&fd, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) <= 0) break;
    std::array<std::uint8_t, 2'048> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recv
    const ssize_t bytes = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (bytes <= 0) continue;
    const auto reply = parse_reply(std::span{buffer}.first(static_cast<std::size_t>(bytes)));
    if (reply && reply->kind == ReplyKind::echo_reply && reply->client.port == id && reply->peer.address == server) return true;
  }
  return false;
}

} // namespace hanat
