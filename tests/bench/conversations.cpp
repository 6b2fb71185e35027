// Frames with the checksum left to the link, as a stack hands them to one: nobody on the way has to sum up what no network card leaves to
// software.
#include "tests/bench/conversations.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <regex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::bench {
namespace {

using test::checked;
using test::Host;
using test::Lab;
using test::TestClock;

constexpr std::size_t most_payload = 64, at_a_time = 64;
constexpr std::uint32_t first_sequence = 1'000; // of both

/// Numbers are counted from 0, as books on TCP do.
struct Step {
  Direction direction;
  std::uint8_t flags;
  std::uint32_t sequence, acknowledged;
  std::uint16_t payload = 0;
};
constexpr std::array handshake{Step{Direction::request, TH_SYN, 0, 0}, Step{Direction::reply, TH_SYN | TH_ACK, 0, 1},
                               Step{Direction::request, TH_ACK, 1, 1}};
constexpr std::array talk{Step{Direction::request, TH_PUSH | TH_ACK, 1, 1, 4},
                          Step{Direction::reply, TH_ACK, 1, 5},
                          Step{Direction::reply, TH_PUSH | TH_ACK, 1, 5, 8},
                          Step{Direction::request, TH_ACK, 5, 9},
                          Step{Direction::request, TH_FIN | TH_ACK, 5, 9},
                          Step{Direction::reply, TH_FIN | TH_ACK, 9, 6},
                          Step{Direction::request, TH_ACK, 6, 10}};
constexpr Step data_of(Direction direction) { return {direction, TH_PUSH | TH_ACK, 1, 1, most_payload}; }

/// virtio_net_hdr, whose header is not for C++.
struct Offloads {
  std::uint8_t flags, gso_type;
  std::uint16_t header_length, gso_size, checksum_start, checksum_offset;
};
constexpr std::uint8_t needs_checksum = 1;

struct [[gnu::packed]] Frame {
  Offloads offloads;
  ethhdr link;
  iphdr ip;
  tcphdr tcp;
  std::array<char, most_payload> payload;
};
std::size_t length_of(const Frame& frame) { return sizeof(Offloads) + sizeof(ethhdr) + ntohs(frame.ip.tot_len); }

std::uint32_t sum_of(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) sum += static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  return sum;
}
std::uint16_t folded(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<std::uint16_t>(sum));
}

std::array<std::uint8_t, ETH_ALEN> link_address(int socket, const char* interface) {
  ifreq request{};
  std::strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  checked(ioctl(socket, SIOCGIFHWADDR, &request), interface);
  std::array<std::uint8_t, ETH_ALEN> address;
  std::memcpy(address.data(), request.ifr_hwaddr.sa_data, address.size());
  return address;
}

/// A host that sends its frames, and counts and drops those that it gets.
class End {
public:
  /// `ports`: what of the frames that come are the service's, in the words of nft.
  End(Lab& lab, Host host, const std::string& ports) : lab_(lab), host_(host), socket_(lab.socket(host, AF_PACKET, SOCK_RAW)) {
    constexpr int on = 1;
    checked(setsockopt(socket_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), "PACKET_VNET_HDR");
    checked(setsockopt(socket_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on), "PACKET_QDISC_BYPASS");
    ifreq request{};
    std::strncpy(request.ifr_name, "eth0", IFNAMSIZ - 1);
    checked(ioctl(socket_.get(), SIOCGIFINDEX, &request), "eth0");
    sockaddr_ll link{};
    link.sll_family = AF_PACKET; // and no protocol: it gets nothing
    link.sll_ifindex = request.ifr_ifindex;
    checked(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&link), sizeof link), "bind to eth0");
    const Fd there = lab.socket(Host::gateway, AF_PACKET, SOCK_RAW);
    own_ = link_address(socket_.get(), "eth0");
    gateway_ = link_address(there.get(), fmt::format("to-{}", to_text(host)).c_str());
    const std::string sink =
        fmt::format("table netdev sink {{\nchain in {{\ntype filter hook ingress device \"eth0\" priority 0; policy accept;\n"
                    "{} counter drop\n}}\n}}\n",
                    ports);
    if (const test::Output made = lab.run(host, {"nft", "-f", "-"}, sink); made.exit != 0) throw std::runtime_error("nft: " + made.err);
  }
  ~End() { lab_.run(host_, "nft delete table netdev sink"); }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  Frame frame(const Step& step, const Endpoint& from, const Endpoint& to) const {
    Frame frame{};
    std::ranges::copy(gateway_, frame.link.h_dest);
    std::ranges::copy(own_, frame.link.h_source);
    frame.link.h_proto = htons(ETH_P_IP);
    const auto tcp_length = static_cast<std::uint16_t>(sizeof(tcphdr) + step.payload);
    frame.ip.version = 4;
    frame.ip.ihl = sizeof(iphdr) / 4;
    frame.ip.tot_len = htons(static_cast<std::uint16_t>(sizeof(iphdr) + tcp_length));
    frame.ip.frag_off = htons(IP_DF);
    frame.ip.ttl = IPDEFTTL;
    frame.ip.protocol = IPPROTO_TCP;
    std::memcpy(&frame.ip.saddr, from.address.bytes().data(), sizeof frame.ip.saddr);
    std::memcpy(&frame.ip.daddr, to.address.bytes().data(), sizeof frame.ip.daddr);
    const auto* ip = reinterpret_cast<const std::uint8_t*>(&frame) + offsetof(Frame, ip);
    frame.ip.check = static_cast<std::uint16_t>(~folded(sum_of({ip, sizeof(iphdr)})));
    frame.tcp.source = htons(from.port);
    frame.tcp.dest = htons(to.port);
    frame.tcp.seq = htonl(first_sequence + step.sequence);
    frame.tcp.ack_seq = (step.flags & TH_ACK) != 0 ? htonl(first_sequence + step.acknowledged) : 0;
    frame.tcp.doff = sizeof(tcphdr) / 4;
    frame.tcp.th_flags = step.flags;
    frame.tcp.window = htons(60'000);
    frame.tcp.check = folded(sum_of(from.address.bytes()) + sum_of(to.address.bytes()) + IPPROTO_TCP + tcp_length);
    frame.offloads.flags = needs_checksum;
    frame.offloads.checksum_start = sizeof(ethhdr) + sizeof(iphdr);
    frame.offloads.checksum_offset = offsetof(tcphdr, check);
    return frame;
  }

  void send(std::span<const Frame> frames) const {
    std::array<iovec, at_a_time> pieces;
    std::array<mmsghdr, at_a_time> messages{};
    for (std::size_t i = 0; i < frames.size(); ++i) {
      pieces.at(i) = {.iov_base = const_cast<Frame*>(&frames[i]), .iov_len = length_of(frames[i])};
      messages.at(i).msg_hdr.msg_iov = &pieces.at(i);
      messages.at(i).msg_hdr.msg_iovlen = 1;
    }
    for (unsigned sent = 0; sent < frames.size();)
      sent += static_cast<unsigned>(
          checked(sendmmsg(socket_.get(), &messages.at(sent), static_cast<unsigned>(frames.size()) - sent, 0), "send frames"));
  }

  std::uint64_t received() const {
    const std::string said = lab_.must(host_, "nft list table netdev sink");
    std::smatch match;
    if (!std::regex_search(said, match, std::regex{"packets ([0-9]+)"})) throw std::runtime_error("no counter: " + said);
    return std::stoull(match[1]);
  }
  void await(std::uint64_t number) const {
    for (const auto end = TestClock::now() + test::milliseconds{2'000}; received() < number;
         std::this_thread::sleep_for(test::milliseconds{10}))
      if (TestClock::now() > end)
        throw std::runtime_error(fmt::format("{} of {} frames reached the {}", received(), number, to_text(host_)));
  }

private:
  Lab& lab_;
  Host host_;
  Fd socket_;
  std::array<std::uint8_t, ETH_ALEN> own_{}, gateway_{};
};

} // namespace

struct Conversations::Parts {
  Parts(Lab& lab, const Endpoint& service, const Endpoint& server)
      : client(lab, Host::client, fmt::format("tcp sport {}", service.port)),
        answerer(lab, Host::primary, fmt::format("tcp dport {}", server.port)), of_service(service), of_server(server) {}

  const End& sender(Direction direction) const { return direction == Direction::request ? client : answerer; }
  const End& receiver(Direction direction) const { return direction == Direction::request ? answerer : client; }
  Frame frame(const Step& step, std::uint16_t port) const {
    const Endpoint from = Lab::endpoint(Host::client, port);
    return step.direction == Direction::request ? client.frame(step, from, of_service) : answerer.frame(step, of_server, from);
  }
  /// One step of several clients.
  std::vector<Frame> frames(const Step& step, std::uint16_t first_port, std::size_t number) const {
    std::vector<Frame> made;
    for (std::size_t i = 0; i < number; ++i) made.push_back(frame(step, static_cast<std::uint16_t>(first_port + i)));
    return made;
  }

  End client, answerer;
  Endpoint of_service, of_server;
  std::uint16_t next_port = 10'000; // of the next client: none comes twice
};

Conversations::Conversations(Lab& lab, const Endpoint& service, const Endpoint& server)
    : parts_(std::make_unique<Parts>(lab, service, server)) {}
Conversations::~Conversations() = default;

double Conversations::packets(Direction direction, unsigned number) {
  const std::uint16_t port = parts_->next_port++;
  const auto send = [&](const Step& step) { parts_->sender(step.direction).send(std::array{parts_->frame(step, port)}); };
  for (const Step& step : handshake) send(step);
  for (int i = 0; i < 8; ++i) // whoever learns flows knows this one then
    for (const Direction each : {Direction::request, Direction::reply}) send(data_of(each));
  std::vector<Frame> frames(at_a_time, parts_->frame(data_of(direction), port));
  const End& receiver = parts_->receiver(direction);
  const std::uint64_t before = receiver.received(), batches = number / at_a_time;
  const auto began = TestClock::now();
  for (std::uint64_t batch = 0; batch < batches; ++batch) parts_->sender(direction).send(frames);
  const std::chrono::duration<double, std::nano> passed = TestClock::now() - began;
  receiver.await(before + batches * at_a_time);
  return passed.count() / static_cast<double>(batches * at_a_time);
}

double Conversations::connections(unsigned number) {
  const std::size_t batches = number / at_a_time;
  std::vector<std::pair<const End*, std::vector<Frame>>> all; // in their order
  for (std::size_t batch = 0; batch < batches; ++batch, parts_->next_port += at_a_time) {
    for (const Step& step : handshake)
      all.emplace_back(&parts_->sender(step.direction), parts_->frames(step, parts_->next_port, at_a_time));
    for (const Step& step : talk) all.emplace_back(&parts_->sender(step.direction), parts_->frames(step, parts_->next_port, at_a_time));
  }
  const std::uint64_t of_clients = parts_->answerer.received(), of_server = parts_->client.received();
  const auto began = TestClock::now();
  for (const auto& [end, frames] : all) end->send(frames);
  const std::chrono::duration<double, std::nano> passed = TestClock::now() - began;
  parts_->answerer.await(of_clients + batches * at_a_time * 6);
  parts_->client.await(of_server + batches * at_a_time * 4);
  return passed.count() / static_cast<double>(batches * at_a_time);
}

} // namespace hanat::bench
