// One request a set.
#include "nat/nftables/element_dump.hpp"

#include <array>
#include <cstdint>
#include <system_error>

#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

// The kernel does not flag dumps of set elements that mix two generations, up to Linux 6.18; one that does is asked again.
constexpr int most_reads = 5;

} // namespace

void ElementDump::read(std::span<const std::string> sets, std::string_view what, const Reader& reader) {
  for (int reads = 1;; ++reads) try {
      reader.begin();
      for (const std::string& set : sets) read_once(set, what, reader);
      return;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::interrupted || reads == most_reads) throw;
    }
}

void ElementDump::read_once(const std::string& set, std::string_view what, const Reader& reader) {
  std::array<std::uint8_t, 512> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(NFT_MSG_GETSETELEM), NLM_F_DUMP, socket_.next_sequence());
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set.c_str());
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, what, [&](const nlmsghdr& reply) {
    const auto elements = made(SetPtr{nftnl_set_alloc()});
    if (nftnl_set_elems_nlmsg_parse(&reply, elements.get()) == 0) reader.part(set, *elements);
  });
}

} // namespace hanat::nat
