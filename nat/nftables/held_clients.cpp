// The elements of two small sets.
#include "nat/nftables/held_clients.hpp"

#include <cstdint>
#include <optional>
#include <span>

#include "nat/nftables/layout.hpp"
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {
namespace {

std::optional<HeldClient> parse_held_client(nftnl_set_elem* element) {
  std::uint32_t length = 0;
  const auto* bytes = static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
  if (bytes == nullptr || (length != 16 && length != 40)) return std::nullopt; // address . port . address . port, each padded to 4
  const std::span<const std::uint8_t> key{bytes, length};
  const std::size_t half = length / 2, address = half - 4;
  const auto endpoint = [&](std::span<const std::uint8_t> part) {
    return Endpoint{.address = Address::from_bytes(part.first(address)),
                    .port = static_cast<std::uint16_t>(part[address] << 8 | part[address + 1])};
  };
  return HeldClient{.vip = endpoint(key.last(half)), .client = endpoint(key.first(half))};
}

} // namespace

std::vector<HeldClient> held_clients_in(const nftnl_set& set) {
  std::vector<HeldClient> clients;
  nftnl_set_elem_foreach(
      const_cast<nftnl_set*>(&set), // only read by libnftnl
      [](nftnl_set_elem* element, void* data) {
        if (const auto client = parse_held_client(element)) static_cast<std::vector<HeldClient>*>(data)->push_back(*client);
        return 0;
      },
      &clients);
  return clients;
}

std::vector<HeldClient> HeldClientReader::read() {
  const std::vector<std::string> sets{held_set(Family::ipv4), held_set(Family::ipv6)};
  std::vector<HeldClient> clients;
  dump_.read(sets, "list the held clients",
             {.begin = [&] { clients.clear(); },
              .part =
                  [&](const std::string&, const nftnl_set& set) {
                    for (const HeldClient& client : held_clients_in(set)) clients.push_back(client);
                  }});
  return clients;
}

} // namespace hanat::nat
