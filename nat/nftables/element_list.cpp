// Attributes by libmnl, in the order in which libnftnl writes them.
#include "nat/nftables/element_list.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/comment.hpp"

namespace hanat::nat {
namespace {

// An attribute has at most 65,535 bytes. The largest element (IPv6 mapping with data and a comment of 128 bytes) takes about 320.
constexpr std::size_t largest_element = 512, largest_list = std::size_t{63} << 10, first_bytes = 1'024;

constexpr std::uint32_t padded(std::uint32_t length) { return (length + 3) / 4 * 4; }

void put_value(nlmsghdr* list, std::uint16_t type, const KeyBytes& value) {
  nlattr* const nest = mnl_attr_nest_start(list, type);
  mnl_attr_put(list, NFTA_DATA_VALUE, value.size(), value.data());
  mnl_attr_nest_end(list, nest);
}

void put_verdict(nlmsghdr* list, const Element& element) {
  const int code = element.jump == nullptr ? NF_DROP : element.returns ? NFT_JUMP : NFT_GOTO;
  nlattr* const data = mnl_attr_nest_start(list, NFTA_SET_ELEM_DATA);
  nlattr* const verdict = mnl_attr_nest_start(list, NFTA_DATA_VERDICT);
  mnl_attr_put_u32(list, NFTA_VERDICT_CODE, htonl(static_cast<std::uint32_t>(code)));
  if (element.jump != nullptr) mnl_attr_put_strz(list, NFTA_VERDICT_CHAIN, element.jump);
  mnl_attr_nest_end(list, verdict);
  mnl_attr_nest_end(list, data);
}

/// As comment_data() does it.
void put_comment(nlmsghdr* list, std::string_view comment) {
  constexpr std::size_t longest = NFTNL_UDATA_COMMENT_MAXLEN - 1; // and NUL
  std::array<std::uint8_t, NFTNL_UDATA_COMMENT_MAXLEN + 2> bytes; // NOLINT(cppcoreguidelines-pro-type-member-init): written below
  const std::size_t length = std::min(comment.size(), longest);
  bytes[0] = comment_type;
  bytes[1] = static_cast<std::uint8_t>(length + 1);
  std::memcpy(bytes.data() + 2, comment.data(), length);
  bytes[length + 2] = 0;
  mnl_attr_put(list, NFTA_SET_ELEM_USERDATA, length + 3, bytes.data());
}

} // namespace

std::uint8_t* KeyBytes::take(std::uint32_t length) {
  std::uint8_t* part = bytes_.data() + size_;
  size_ += padded(length);
  return part;
}
void KeyBytes::add(const Address& address) {
  const auto bytes = address.bytes();
  std::ranges::copy(bytes, take(static_cast<std::uint32_t>(bytes.size())));
}
void KeyBytes::set(Family family) {
  bytes_[0] = nfproto(family);
  size_ = 1;
}
void KeyBytes::add(Protocol protocol) { *take(1) = static_cast<std::uint8_t>(protocol); }
void KeyBytes::add_port(std::uint16_t port) {
  const std::uint16_t network_order = htons(port);
  std::memcpy(take(sizeof network_order), &network_order, sizeof network_order);
}
KeyBytes KeyBytes::with_port(std::uint32_t at, std::uint16_t port) const {
  KeyBytes other = *this;
  const std::uint16_t network_order = htons(port);
  std::memcpy(other.bytes_.data() + at, &network_order, sizeof network_order);
  return other;
}

nlmsghdr* ElementList::room_for_one() {
  if (parts_.empty() || part(parts_.size() - 1)->nlmsg_len + largest_element > largest_list)
    mnl_nlmsg_put_header(parts_.emplace_back(first_bytes).data());
  auto& bytes = parts_.back();
  const std::size_t needed = part(parts_.size() - 1)->nlmsg_len + largest_element;
  if (bytes.size() < needed) bytes.resize(std::max(needed, std::min(largest_list, 4 * bytes.size())));
  return reinterpret_cast<nlmsghdr*>(bytes.data());
}

void ElementList::add(const Element& element, bool key_only) {
  nlmsghdr* const list = room_for_one();
  nlattr* const nest = mnl_attr_nest_start(list, NFTA_LIST_ELEM);
  put_value(list, NFTA_SET_ELEM_KEY, element.key);
  if (element.key_end.size() != 0) put_value(list, NFTA_SET_ELEM_KEY_END, element.key_end);
  if (!key_only) {
    if (element.has_verdict)
      put_verdict(list, element);
    else if (element.data.size() != 0)
      put_value(list, NFTA_SET_ELEM_DATA, element.data);
    if (!element.comment.empty()) put_comment(list, element.comment);
  }
  mnl_attr_nest_end(list, nest);
  ++size_;
}

} // namespace hanat::nat
