// Creates scratch entries, each with one difference from a target mapping, and checks requests whose exact result is known.
#include "nat/conntrack/capabilities.hpp"

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

constexpr std::uint32_t scratch_lifetime_s = 10; // the checks take a fraction of a second; a killed process leaves entries behind

Family other_of(Family family) { return family == Family::ipv4 ? Family::ipv6 : Family::ipv4; }

class RandomTuple {
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
  bool exists = false;
};

/// Entries of a target mapping with TCP, UDP and SCTP, and entries that nearly match it.
class Scratch {
public:
  Scratch(ConntrackSocket& socket, Family family) : socket_(socket), family_(family) {}
  void fill() {
    const Mapping target = random_mapping(family_);
    tcp = target;
    udp = with_protocol(target, Protocol::udp);
    sctp = with_protocol(target, Protocol::sctp);
    mark = tuple_.bits() | 1;
    for (const Mapping& mapping : {tcp, udp}) {
      create(mapping, mark);
      create(mapping, mark);
      create(mapping, ~mark);
      create_near_misses(mapping);
    }
    try_create(sctp); // the kernel may not support SCTP or IPv6
    Mapping other_family = random_mapping(other_of(family_));
    other_family.vip.port = target.vip.port;
    other_family.server.port = target.server.port;
    try_create(other_family);
  }
  ~Scratch() {
    for (const ScratchEntry& entry : entries_) {
      try {
        socket_.remove(entry.mapping, entry.client);
      } catch (const std::exception&) { // it expires by itself
        continue;
      }
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  Mapping tcp, udp, sctp;
  std::uint32_t mark = 0;

  /// Whether a dump shows exactly the expected scratch entries, and, if the filter has addresses or a mark, no other entries.
  bool is_exact(Family family, const Filter& filter, Mark filter_mark) {
    std::vector<bool> seen(entries_.size());
    bool other_entries = false;
    const auto on_entry = [&](const Entry& entry) {
      const auto found = std::ranges::find_if(
          entries_, [&](const ScratchEntry& scratch) { return scratch.mapping == entry.mapping && scratch.client == entry.client; });
      if (found == entries_.end())
        other_entries = true;
      else
        seen[static_cast<std::size_t>(found - entries_.begin())] = true;
    };
    if (!socket_.dump(family, filter, filter_mark, on_entry)) return false;
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (seen[i] != is_expected(entries_[i], family, filter, filter_mark)) return false;
    return !other_entries || (!filter.vip && !filter.server && !filter_mark);
  }
  bool is_exact(const Filter& filter, Mark filter_mark = {}) { return is_exact(family_, filter, filter_mark); }

  /// The filtered delete. The mark of the scratch entries protects all other entries.
  void delete_mapping(const Mapping& mapping) {
    socket_.delete_mapping(mapping, mark);
    for (ScratchEntry& entry : entries_)
      if (entry.mapping == mapping && entry.mark == mark) entry.exists = false;
  }

private:
  static bool is_expected(const ScratchEntry& entry, Family family, const Filter& filter, Mark filter_mark) {
    return entry.exists && entry.mapping.vip.address.family() == family && matches(filter, entry.mapping) &&
           (!filter_mark || *filter_mark == entry.mark);
  }
  static Mapping with_protocol(Mapping mapping, Protocol protocol) {
    mapping.vip.protocol = protocol;
    return mapping;
  }
  Mapping random_mapping(Family family) {
    return {.vip = {.address = tuple_.address(family), .protocol = Protocol::tcp, .port = tuple_.port()},
            .server = {.address = tuple_.address(family), .port = tuple_.port()}};
  }
  std::uint16_t other_port(const Mapping& mapping) {
    for (;;)
      if (const std::uint16_t port = tuple_.port(); port != mapping.vip.port && port != mapping.server.port) return port;
  }
  /// Entries with one other address or port each.
  void create_near_misses(const Mapping& mapping) {
    Mapping other = mapping;
    other.server.address = tuple_.address(family_);
    create(other, mark);
    other = mapping;
    other.vip.address = tuple_.address(family_);
    create(other, mark);
    other = mapping;
    other.vip.port = other_port(mapping);
    create(other, mark);
    other = mapping;
    other.server.port = other_port(mapping);
    create(other, mark);
    // The same addresses and ports with VIP and server exchanged.
    other = mapping;
    other.vip = {.address = mapping.server.address, .protocol = mapping.vip.protocol, .port = mapping.server.port};
    other.server = {.address = mapping.vip.address, .port = mapping.vip.port};
    create(other, mark);
  }
  void create(const Mapping& mapping, std::uint32_t entry_mark) {
    const Endpoint client{.address = tuple_.address(mapping.vip.address.family()), .port = tuple_.port()};
    socket_.create(mapping, client, entry_mark, scratch_lifetime_s);
    entries_.push_back({.mapping = mapping, .client = client, .mark = entry_mark, .exists = true});
  }
  void try_create(const Mapping& mapping) {
    try {
      create(mapping, mark);
    } catch (const std::system_error&) { // then there are no such flows either
      return;
    }
  }

  ConntrackSocket& socket_;
  Family family_;
  RandomTuple tuple_;
  std::vector<ScratchEntry> entries_;
};

struct CheckResult {
  bool passed = false;
  std::string why;
};

/// Runs a check, which returns what is wrong, or "". An error of the kernel is a result, too, except for missing privileges.
template <typename Check> CheckResult run_check(std::string_view subject, Check&& check) {
  try {
    const std::string_view problem = check();
    if (problem.empty()) return {.passed = true, .why = {}};
    return {.passed = false, .why = fmt::format("{}: {}", subject, problem)};
  } catch (const std::system_error& error) {
    if (error.code().value() == EPERM) throw;
    return {.passed = false, .why = fmt::format("{}: {}", subject, error.what())};
  }
}

std::string_view check_address_filters(Scratch& scratch) {
  for (const Mapping& mapping : {scratch.tcp, scratch.udp})
    if (!scratch.is_exact(filter_of(mapping))) return "a dump by addresses and ports shows other entries than it should";
  for (const Mapping& mapping : {scratch.tcp, scratch.sctp})
    if (!scratch.is_exact(server_filter(mapping))) return "a dump by the server's address shows other entries than it should";
  return {};
}

std::string_view check_port_filters(Scratch& scratch) {
  for (const Mapping& mapping : {scratch.tcp, scratch.udp})
    if (!scratch.is_exact(ports_filter(mapping))) return "a dump by ports shows other entries than it should";
  for (const Protocol protocol : {Protocol::sctp, Protocol::tcp}) // for ranges, too
    if (!scratch.is_exact(protocol_filter(protocol))) return "a dump by protocol shows other entries than it should";
  return {};
}

/// The mark protects all other entries in the first delete, which cannot be tried as a dump, so the mark is checked first. (A third
/// protection is in the message: its partial tuple. A kernel without CTA_FILTER takes it for the name of one entry and returns EINVAL.)
std::string_view check_filtered_delete(Scratch& scratch) {
  if (!scratch.is_exact({}, scratch.mark)) return "a dump by mark shows other entries than it should (CONFIG_NF_CONNTRACK_MARK?)";
  const Filter filter = filter_of(scratch.tcp);
  if (!scratch.is_exact(filter, scratch.mark) || !scratch.is_exact(filter, scratch.mark ^ 2))
    return "a dump by filter and mark shows other entries than it should";
  for (const Mapping& mapping : {scratch.tcp, scratch.udp}) {
    scratch.delete_mapping(mapping);
    if (!scratch.is_exact({}, scratch.mark) || !scratch.is_exact(filter_of(mapping)))
      return "a delete removed other entries than it should";
  }
  return {};
}

/// The entry of the other family, with the same ports, must survive the deletes.
std::string_view check_other_family(Scratch& scratch, Family family) {
  return scratch.is_exact(other_of(family), {}, scratch.mark) ? "" : "a delete removed entries of the other family";
}

Capabilities detect(Scratch& scratch, Family family, DeleteMethod best) {
  const CheckResult addresses = run_check("filtered dump", [&] { return check_address_filters(scratch); });
  if (!addresses.passed) {
    const CheckResult ports = run_check("filtered dump by ports", [&] { return check_port_filters(scratch); });
    if (!ports.passed)
      return {.method = DeleteMethod::full_dump, .support = FilterSupport::nothing, .why = addresses.why + "; " + ports.why};
    return {.method = DeleteMethod::filtered_dump, .support = FilterSupport::ports, .why = addresses.why + "; hanat compares addresses"};
  }
  Capabilities capabilities{
      .method = DeleteMethod::filtered_dump, .support = FilterSupport::addresses, .why = "filtered delete: not tried, as requested"};
  if (best != DeleteMethod::filtered_delete) return capabilities;
  CheckResult deletes = run_check("filtered delete", [&] { return check_filtered_delete(scratch); });
  if (deletes.passed) deletes = run_check("filtered delete", [&] { return check_other_family(scratch, family); });
  capabilities.why = deletes.why;
  if (deletes.passed) capabilities.method = DeleteMethod::filtered_delete;
  return capabilities;
}

} // namespace

Capabilities detect(ConntrackSocket& socket, Family family, DeleteMethod best) {
  if (best == DeleteMethod::full_dump)
    return {.method = best, .support = FilterSupport::nothing, .why = "filters: not tried, as requested"};
  try {
    Scratch scratch{socket, family};
    scratch.fill();
    return detect(scratch, family, best);
  } catch (const std::system_error& error) {
    if (error.code().value() == EPERM) throw;
    return {
        .method = DeleteMethod::full_dump, .support = FilterSupport::nothing, .why = fmt::format("the checks failed: {}", error.what())};
  }
}

} // namespace hanat::nat
