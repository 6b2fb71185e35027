// Scratch entries that differ from a target in one thing each, and questions whose exact answer is known.
#include "nat/ladder.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace hanat::nat {
namespace {

constexpr std::uint32_t scratch_lifetime_s = 10; // a proof takes a fraction of a second; what a killed process leaves is gone soon

Family other_of(Family family) { return family == Family::ipv4 ? Family::ipv6 : Family::ipv4; }

class Dice {
public:
  std::uint32_t bits() { return device_(); }
  std::uint16_t port() { return static_cast<std::uint16_t>(1024 + bits() % 60'000); }
  Address address(Family family) {
    if (family == Family::ipv4) { // 240.0.0.0/8 of the reserved 240.0.0.0/4
      const std::uint32_t host = bits();
      return Address::from_bytes(
          std::array<std::uint8_t, 4>{240, byte(host, 0), byte(host, 1), static_cast<std::uint8_t>(1 + byte(host, 2) % 254)});
    }
    std::array<std::uint8_t, 16> bytes{0x01, 0x00}; // 100::/64, the discard prefix
    const std::array<std::uint32_t, 2> host{bits(), bits() | 1};
    for (std::size_t i = 0; i < 8; ++i) bytes[8 + i] = byte(host[i / 4], static_cast<unsigned>(i % 4));
    return Address::from_bytes(bytes);
  }

private:
  static std::uint8_t byte(std::uint32_t value, unsigned number) { return static_cast<std::uint8_t>(value >> (8 * number)); }
  std::random_device device_;
};

struct ScratchEntry {
  Mapping mapping;
  Endpoint client;
  std::uint32_t mark = 0;
  bool alive = false;
};

/// The target mapping in TCP, UDP and SCTP, and entries that are almost of it.
class Scratch {
public:
  Scratch(ConntrackSocket& socket, Family family) : socket_(socket), family_(family) {}
  void fill() {
    const Mapping target = draw(family_);
    tcp = target;
    udp = with_protocol(target, Protocol::udp);
    sctp = with_protocol(target, Protocol::sctp);
    mark = dice_.bits() | 1;
    for (const Mapping& mapping : {tcp, udp}) {
      create(mapping, mark);
      create(mapping, mark);
      create(mapping, ~mark);
      create_neighbours(mapping);
    }
    optional_create(sctp); // a kernel may know no SCTP, or no IPv6
    Mapping relative = draw(other_of(family_));
    relative.vip.port = target.vip.port;
    relative.server.port = target.server.port;
    optional_create(relative);
  }
  ~Scratch() {
    for (const ScratchEntry& entry : entries_) {
      try {
        socket_.remove(entry.mapping, entry.client);
      } catch (const std::exception&) { // the entry's lifetime ends it
        continue;
      }
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  Mapping tcp, udp, sctp;
  std::uint32_t mark = 0;

  /// Whether a dump shows exactly the living scratch entries that it should, and, where addresses confine it, nothing else.
  bool exact(Family family, const Filter& filter, Mark wanted) {
    std::vector<bool> seen(entries_.size());
    bool strangers = false;
    const auto look = [&](const Entry& entry) {
      const auto found = std::ranges::find_if(
          entries_, [&](const ScratchEntry& ours) { return ours.mapping == entry.mapping && ours.client == entry.client; });
      if (found == entries_.end())
        strangers = true;
      else
        seen[static_cast<std::size_t>(found - entries_.begin())] = true;
    };
    if (!socket_.dump(family, filter, wanted, look)) return false;
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (seen[i] != expected(entries_[i], family, filter, wanted)) return false;
    return !strangers || (!filter.vip && !filter.server && !wanted);
  }
  bool exact(const Filter& filter, Mark wanted = {}) { return exact(family_, filter, wanted); }

  /// The filtered delete, with the scratch mark as a second belt.
  void delete_mapping(const Mapping& mapping) {
    socket_.delete_mapping(mapping, mark);
    for (ScratchEntry& entry : entries_)
      if (entry.mapping == mapping && entry.mark == mark) entry.alive = false;
  }

private:
  static bool expected(const ScratchEntry& entry, Family family, const Filter& filter, Mark wanted) {
    return entry.alive && entry.mapping.vip.address.family() == family && matches(filter, entry.mapping) &&
           (!wanted || *wanted == entry.mark);
  }
  static Mapping with_protocol(Mapping mapping, Protocol protocol) {
    mapping.vip.protocol = protocol;
    return mapping;
  }
  Mapping draw(Family family) {
    return {.vip = {.address = dice_.address(family), .protocol = Protocol::tcp, .port = dice_.port()},
            .server = {.address = dice_.address(family), .port = dice_.port()}};
  }
  std::uint16_t other_port(const Mapping& mapping) {
    for (;;)
      if (const std::uint16_t port = dice_.port(); port != mapping.vip.port && port != mapping.server.port) return port;
  }
  void create_neighbours(const Mapping& mapping) {
    Mapping other = mapping;
    other.server.address = dice_.address(family_);
    create(other, mark);
    other = mapping;
    other.vip.address = dice_.address(family_);
    create(other, mark);
    other = mapping;
    other.vip.port = other_port(mapping);
    create(other, mark);
    other = mapping;
    other.server.port = other_port(mapping);
    create(other, mark);
    // The server as a client of the VIP's address: both addresses, in the other roles.
    other = mapping;
    other.vip = {.address = mapping.server.address, .protocol = mapping.vip.protocol, .port = mapping.server.port};
    other.server = {.address = mapping.vip.address, .port = mapping.vip.port};
    create(other, mark);
  }
  void create(const Mapping& mapping, std::uint32_t with_mark) {
    const Endpoint client{.address = dice_.address(mapping.vip.address.family()), .port = dice_.port()};
    socket_.create(mapping, client, with_mark, scratch_lifetime_s);
    entries_.push_back({.mapping = mapping, .client = client, .mark = with_mark, .alive = true});
  }
  void optional_create(const Mapping& mapping) {
    try {
      create(mapping, mark);
    } catch (const std::system_error&) { // then there are no flows of it either
      return;
    }
  }

  ConntrackSocket& socket_;
  Family family_;
  Dice dice_;
  std::vector<ScratchEntry> entries_;
};

struct Climb {
  bool stands = false;
  std::string why;
};

/// Asks a question of the kernel; its refusal is an answer too. Rights that are missing are not.
template <typename Question> Climb attempt(std::string_view subject, Question&& question) {
  try {
    const std::string_view lie = question();
    if (lie.empty()) return {.stands = true, .why = {}};
    return {.stands = false, .why = fmt::format("{}: {}", subject, lie)};
  } catch (const std::system_error& error) {
    if (error.code().value() == EPERM) throw;
    return {.stands = false, .why = fmt::format("{}: {}", subject, error.what())};
  }
}

std::string_view filtered_dump_lie(Scratch& scratch) {
  for (const Mapping& mapping : {scratch.tcp, scratch.udp})
    if (!scratch.exact(filter_of(mapping))) return "a dump by addresses and ports shows other entries than it should";
  for (const Mapping& mapping : {scratch.tcp, scratch.sctp})
    if (!scratch.exact(server_filter(mapping))) return "a dump by the server's address shows other entries than it should";
  return {};
}

std::string_view ports_lie(Scratch& scratch) {
  for (const Mapping& mapping : {scratch.tcp, scratch.udp})
    if (!scratch.exact(ports_filter(mapping))) return "a dump by ports shows other entries than it should";
  for (const Protocol protocol : {Protocol::sctp, Protocol::tcp}) // of ranges too
    if (!scratch.exact(protocol_filter(protocol))) return "a dump by protocol shows other entries than it should";
  return {};
}

/// The mark confines the one delete that cannot be tried on a dump first, so it is proven before. (A third belt is in the message: its
/// partial tuple. A kernel that knows no CTA_FILTER at all reads it as the name of one entry and refuses it with EINVAL.)
std::string_view filtered_delete_lie(Scratch& scratch) {
  if (!scratch.exact({}, scratch.mark)) return "the mark does not confine a dump (CONFIG_NF_CONNTRACK_MARK?)";
  const Filter filter = filter_of(scratch.tcp);
  if (!scratch.exact(filter, scratch.mark) || !scratch.exact(filter, scratch.mark ^ 2))
    return "filter and mark together do not confine a dump";
  for (const Mapping& mapping : {scratch.tcp, scratch.udp}) {
    scratch.delete_mapping(mapping);
    if (!scratch.exact({}, scratch.mark) || !scratch.exact(filter_of(mapping))) return "a delete took other entries than it should";
  }
  return {};
}

/// The entry of the other family, with the same ports, must outlive the deletes.
std::string_view other_family_lie(Scratch& scratch, Family family) {
  return scratch.exact(other_of(family), {}, scratch.mark) ? "" : "a delete took entries of the other family";
}

Standing climb(Scratch& scratch, Family family, Rung best) {
  const Climb dump = attempt("filtered dump", [&] { return filtered_dump_lie(scratch); });
  if (!dump.stands) {
    const Climb ports = attempt("filtered dump by ports", [&] { return ports_lie(scratch); });
    if (!ports.stands) return {.rung = Rung::full_dump, .trust = Trust::nothing, .why = dump.why + "; " + ports.why};
    return {.rung = Rung::filtered_dump, .trust = Trust::ports, .why = dump.why + "; addresses are compared in hanat"};
  }
  Standing standing{.rung = Rung::filtered_dump, .trust = Trust::addresses, .why = "filtered delete: not tried, as asked"};
  if (best != Rung::filtered_delete) return standing;
  Climb erase = attempt("filtered delete", [&] { return filtered_delete_lie(scratch); });
  if (erase.stands) erase = attempt("filtered delete", [&] { return other_family_lie(scratch, family); });
  standing.why = erase.why;
  if (erase.stands) standing.rung = Rung::filtered_delete;
  return standing;
}

} // namespace

Standing prove(ConntrackSocket& socket, Family family, Rung best) {
  if (best == Rung::full_dump) return {.rung = best, .trust = Trust::nothing, .why = "filters: not tried, as asked"};
  try {
    Scratch scratch{socket, family};
    scratch.fill();
    return climb(scratch, family, best);
  } catch (const std::system_error& error) {
    if (error.code().value() == EPERM) throw;
    return {.rung = Rung::full_dump, .trust = Trust::nothing, .why = fmt::format("no proof: {}", error.what())};
  }
}

} // namespace hanat::nat
