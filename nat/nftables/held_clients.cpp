// Dumps two small sets.
#include "nat/nftables/held_clients.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/layout.hpp"
#include "nat/nftables/request.hpp"
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {
namespace {

constexpr int max_dumps = 5; // a dump is interrupted only by a commit during it

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
  for (int dumps = 1;; ++dumps) try {
      std::vector<HeldClient> clients;
      for (const Family family : both_families) {
        std::array<std::uint8_t, 512> request{};
        nlmsghdr* header = put_nft_header(request, nft_type(NFT_MSG_GETSETELEM), NLM_F_DUMP, socket_.next_sequence());
        mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
        mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, held_set(family));
        socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "list the held clients",
                         [&](const nlmsghdr& reply) {
                           const auto set = made(SetPtr{nftnl_set_alloc()});
                           if (nftnl_set_elems_nlmsg_parse(&reply, set.get()) != 0) return;
                           for (const HeldClient& client : held_clients_in(*set)) clients.push_back(client);
                         });
      }
      return clients;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::interrupted || dumps == max_dumps) throw;
    }
}

} // namespace hanat::nat
