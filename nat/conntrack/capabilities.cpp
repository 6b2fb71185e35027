// Creates scratch entries, each with one difference from a target mapping, and checks requests whose exact result is known.
#include "nat/conntrack/capabilities.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <fmt/format.h>

namespace hanat::nat {
namespace {

constexpr int niceness = 10;                     // of the checks: what starts meanwhile comes first
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

/// The entry as a dump shows it. The kernel's own attributes are not compared.
Entry shown(const NewEntry& entry) {
  const Tuple original = original_of(entry);
  const Tuple reply = reply_of(entry);
  const Endpoint& to = original.destination;
  return {.mapping = {.vip = {.address = to.address, .protocol = original.protocol, .port = to.port}, .server = reply.source},
          .client = original.source,
          .reply_to = reply.destination};
}

bool same_tuples(const Entry& one, const Entry& other) {
  return one.mapping == other.mapping && one.client == other.client && one.reply_to == other.reply_to;
}

struct ScratchEntry {
  NewEntry entry;
  Entry shown;
  bool exists = true;
};

/// Entries of a target mapping with TCP, UDP and SCTP, opened by clients and by the server, and entries that nearly match it.
class Scratch {
public:
  Scratch(ConntrackSocket& socket, Family family) : socket_(socket), family_(family) {}
  void fill() {
    const Mapping target = random_mapping(family_);
    tcp = target;
    udp = with_protocol(target, Protocol::udp);
    sctp = with_protocol(target, Protocol::sctp);
    mark = tuple_.bits() | 1;
    for (const Opener opener : {Opener::client, Opener::server})
      for (const Mapping& mapping : {tcp, udp}) {
        create(mapping, opener, mark);
        create(mapping, opener, mark);
        create(mapping, opener, ~mark);
        create_near_misses(mapping, opener);
      }
    for (const Opener opener : {Opener::client, Opener::server}) try_create(sctp, opener); // the kernel may not support SCTP or IPv6
    Mapping other_family = random_mapping(other_of(family_));
    other_family.vip.port = target.vip.port;
    other_family.server.port = target.server.port;
    try_create(other_family, Opener::client);
    try_create(random_mapping(family_), Opener::client, original_of(entries_.front().entry));
  }
  ~Scratch() {
    for (const ScratchEntry& scratch : entries_) {
      try {
        socket_.remove(scratch.entry);
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
      const auto found = std::ranges::find_if(entries_, [&](const ScratchEntry& scratch) { return same_tuples(scratch.shown, entry); });
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

  bool has_related() const {
    return std::ranges::any_of(entries_, [](const ScratchEntry& scratch) { return scratch.entry.master.has_value(); });
  }

  /// The filtered delete. The mark of the scratch entries protects all other entries.
  void delete_mapping(const Mapping& mapping) {
    socket_.delete_mapping(mapping, mark);
    for (auto& [entry, shown, exists] : entries_)
      if (entry.opener == Opener::client && entry.mapping == mapping && entry.mark == mark) exists = false;
  }

private:
  static bool is_expected(const ScratchEntry& scratch, Family family, const Filter& filter, Mark filter_mark) {
    const auto& [entry, shown, exists] = scratch;
    if (!exists || entry.client.address.family() != family || (filter.related && !entry.master)) return false;
    // As the filter sees it, whoever opened the flow: source and destination of the other tuple are compared as they are.
    const Mapping mirrored{.vip = {.address = shown.reply_to.address, .protocol = shown.mapping.vip.protocol, .port = shown.reply_to.port},
                           .server = shown.client};
    return matches(filter, filter.opener == Opener::client ? shown.mapping : mirrored) && (!filter_mark || *filter_mark == entry.mark);
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
  void create_near_misses(const Mapping& mapping, Opener opener) {
    Mapping other = mapping;
    other.server.address = tuple_.address(family_);
    create(other, opener, mark);
    other = mapping;
    other.vip.address = tuple_.address(family_);
    create(other, opener, mark);
    other = mapping;
    other.vip.port = other_port(mapping);
    create(other, opener, mark);
    other = mapping;
    other.server.port = other_port(mapping);
    create(other, opener, mark);
    // The same addresses and ports with VIP and server exchanged.
    other = mapping;
    other.vip = {.address = mapping.server.address, .protocol = mapping.vip.protocol, .port = mapping.server.port};
    other.server = {.address = mapping.vip.address, .port = mapping.vip.port};
    create(other, opener, mark);
  }
  void create(const Mapping& mapping, Opener opener, std::uint32_t entry_mark, std::optional<Tuple> master = {}) {
    const NewEntry entry{.mapping = mapping,
                         .client = {.address = tuple_.address(mapping.vip.address.family()), .port = tuple_.port()},
                         .opener = opener,
                         .mark = entry_mark,
                         .lifetime_s = scratch_lifetime_s,
                         .master = master};
    socket_.create(entry);
    entries_.push_back({.entry = entry, .shown = shown(entry)});
  }
  void try_create(const Mapping& mapping, Opener opener, std::optional<Tuple> master = {}) {
    try {
      create(mapping, opener, mark, master);
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

std::string_view check_address_filters(Scratch& scratch, Opener opener) {
  for (const Mapping& mapping : {scratch.tcp, scratch.udp})
    if (!scratch.is_exact(filter_of(mapping, opener))) return "a dump by addresses and ports shows other entries than it should";
  for (const Mapping& mapping : {scratch.tcp, scratch.sctp})
    if (!scratch.is_exact(server_filter(mapping, opener))) return "a dump by the server's address shows other entries than it should";
  return {};
}

std::string_view check_port_filters(Scratch& scratch, Opener opener) {
  for (const Mapping& mapping : {scratch.tcp, scratch.udp})
    if (!scratch.is_exact(ports_filter(mapping, opener))) return "a dump by ports shows other entries than it should";
  for (const Protocol protocol : {Protocol::sctp, Protocol::tcp}) // for ranges, too
    if (!scratch.is_exact(protocol_filter(protocol))) return "a dump by protocol shows other entries than it should";
  return {};
}

std::string_view check_related_filter(Scratch& scratch) {
  if (!scratch.has_related()) return "no entry could be made that is related to another";
  return scratch.is_exact(related_filter()) ? "" : "a dump by status shows other entries than it should";
}

/// The filters of dumps that find few flows or none. Without them hanat compares all entries itself.
void detect_others(Scratch& scratch, Filters& filters) {
  if (run_check("filtered dump", [&] { return check_address_filters(scratch, Opener::server); }).passed)
    filters.opened_by_server = FilterSupport::addresses;
  else if (run_check("filtered dump by ports", [&] { return check_port_filters(scratch, Opener::server); }).passed)
    filters.opened_by_server = FilterSupport::ports;
  filters.related = run_check("filtered dump by status", [&] { return check_related_filter(scratch); }).passed;
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
  Capabilities capabilities;
  detect_others(scratch, capabilities.filters);
  const CheckResult addresses = run_check("filtered dump", [&] { return check_address_filters(scratch, Opener::client); });
  if (!addresses.passed) {
    const CheckResult ports = run_check("filtered dump by ports", [&] { return check_port_filters(scratch, Opener::client); });
    capabilities.why = addresses.why + "; " + (ports.passed ? "hanat compares addresses" : ports.why);
    if (!ports.passed) return capabilities;
    capabilities.method = DeleteMethod::filtered_dump;
    capabilities.filters.opened_by_client = FilterSupport::ports;
    return capabilities;
  }
  capabilities.method = DeleteMethod::filtered_dump;
  capabilities.filters.opened_by_client = FilterSupport::addresses;
  capabilities.why = "filtered delete: not tried, as requested";
  if (best != DeleteMethod::filtered_delete) return capabilities;
  CheckResult deletes = run_check("filtered delete", [&] { return check_filtered_delete(scratch); });
  if (deletes.passed) deletes = run_check("filtered delete", [&] { return check_other_family(scratch, family); });
  capabilities.why = deletes.why;
  if (deletes.passed) capabilities.method = DeleteMethod::filtered_delete;
  return capabilities;
}

Capabilities failed(const std::exception& error) {
  return {.method = DeleteMethod::full_dump, .filters = {}, .why = fmt::format("the checks failed: {}", error.what())};
}

} // namespace

Capabilities detect(ConntrackSocket& socket, Family family, DeleteMethod best) {
  if (best == DeleteMethod::full_dump) return {.method = best, .filters = {}, .why = "filters: not tried, as requested"};
  try {
    Scratch scratch{socket, family};
    scratch.fill();
    return detect(scratch, family, best);
  } catch (const std::system_error& error) {
    if (error.code().value() == EPERM) throw;
    return failed(error);
  }
}

ProvenFilters prove_filters() {
  return std::async(std::launch::async, [] {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness);
    const auto proven = [](Family family) {
      try {
        ConntrackSocket socket;
        return detect(socket, family, DeleteMethod::filtered_delete);
      } catch (const std::exception& error) {
        return failed(error);
      }
    };
    KernelFilters filters;
    filters.ipv4 = proven(Family::ipv4);
    filters.ipv6 = proven(Family::ipv6);
    return filters;
  });
}

const Capabilities& proven_by_now(const ProvenFilters& filters, Family family) {
  static const Capabilities unproven;
  const bool proven = filters.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
  return proven ? filters.get().of(family) : unproven;
}

} // namespace hanat::nat
