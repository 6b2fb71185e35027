// Conntrack entries made by hand: many flows in a blink, without sending a packet. Built and read back with libnetfilter_conntrack, so
// that it shares nothing with the code it tests. Works in the calling thread's network namespace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nat/address.hpp"

namespace hanat::test {

/// An entry, named as if a client had opened it.
struct Flow {
  Mapping mapping;                         // original destination, reply source
  Endpoint client;                         // original source
  std::optional<Endpoint> translated = {}; // reply destination, if that is not the original source
  std::optional<Endpoint> master_to = {};  // original destination of the entry that this one is related to; its source is master_from
  std::optional<Endpoint> master_from = {};
  std::uint16_t zone = 0;
  std::uint32_t mark = 0;
  auto operator<=>(const Flow&) const = default;
};

/// Makes the entries, which live ten minutes; 100,000 take about a quarter of a second. Throws std::system_error if any is refused.
void synthesise(std::span<const Flow> flows);

/// `count` flows of one mapping from as many clients: 198.18.0.0/15 or fd00:c::/32, ports from 1024. `first` moves the clients on.
std::vector<Flow> flows_of(const Mapping& mapping, std::size_t count, std::size_t first = 0);

/// The same flows, opened by the server, whose source the gateway has translated to the virtual endpoint.
std::vector<Flow> opened_by_server(std::vector<Flow> flows);

/// Every TCP, UDP and SCTP entry of both families, sorted. Reading all of them is the test's own view of the truth.
std::vector<Flow> conntrack_entries();

/// How many entries pass.
std::size_t count_entries(const std::function<bool(const Flow&)>& passes);

/// "203.0.113.10:443/tcp" and "10.0.0.11:8443" for the tests' tables; a mistake throws.
Address address(const std::string& text);
Vip vip(const std::string& text, std::uint16_t port, Protocol protocol);
Endpoint endpoint(const std::string& text, std::uint16_t port);

} // namespace hanat::test
