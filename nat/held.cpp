// A dump of two small sets.
#include "nat/held.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/elements.hpp"
#include "nat/layout.hpp"

namespace hanat::nat {
namespace {

constexpr int reads_at_most = 5; // each is lost only when somebody commits during it

std::optional<HeldClient> held_in(nftnl_set_elem* element) {
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

std::vector<HeldClient> held_in(const nftnl_set& set) {
  std::vector<HeldClient> clients;
  nftnl_set_elem_foreach(
      const_cast<nftnl_set*>(&set), // libnftnl reads only
      [](nftnl_set_elem* element, void* data) {
        if (const auto client = held_in(element)) static_cast<std::vector<HeldClient>*>(data)->push_back(*client);
        return 0;
      },
      &clients);
  return clients;
}

std::vector<HeldClient> HeldReader::read() {
  for (int dumps = 1;; ++dumps) try {
      std::vector<HeldClient> clients;
      for (const Family family : families) {
        std::array<std::uint8_t, 512> request{};
        nlmsghdr* header = mnl_nlmsg_put_header(request.data());
        header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM);
        header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        header->nlmsg_seq = socket_.next_sequence();
        static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)))->nfgen_family = NFPROTO_INET;
        mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
        mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, held_set(family));
        socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "list who is held",
                         [&](const nlmsghdr& answer) {
                           const auto set = made(SetPtr{nftnl_set_alloc()});
                           if (nftnl_set_elems_nlmsg_parse(&answer, set.get()) != 0) return;
                           for (const HeldClient& client : held_in(*set)) clients.push_back(client);
                         });
      }
      return clients;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::interrupted || dumps == reads_at_most) throw;
    }
}

} // namespace hanat::nat
