// Comments of tables, rules and set elements in the form that nft reads: type, length, text and NUL in the object's user data.
// Not here: the text of the comments (ruleset, set_elements).
#pragma once

#include <cstdint>
#include <string>

#include "nat/nftables/handles.hpp"

namespace hanat::nat {

/// The type number of comments; the same for tables, rules and elements.
inline constexpr std::uint8_t comment_type = NFTNL_UDATA_SET_ELEM_COMMENT;
static_assert(NFTNL_UDATA_TABLE_COMMENT == comment_type && NFTNL_UDATA_RULE_COMMENT == comment_type);

/// User data with `text`, at most 127 bytes of it. Throws std::system_error when out of memory.
inline UserDataPtr comment_data(const std::string& text) {
  auto data = made(UserDataPtr{nftnl_udata_buf_alloc(NFTNL_UDATA_COMMENT_MAXLEN + 8)});
  nftnl_udata_put_strz(data.get(), comment_type, text.c_str());
  return data;
}

/// The comment in user data; empty if there is none.
inline std::string comment_in(const void* data, std::uint32_t length) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  if (bytes == nullptr || length < 3 || bytes[0] != comment_type || bytes[1] == 0 || bytes[1] + 2U > length) return {};
  return {reinterpret_cast<const char*>(bytes) + 2, bytes[1] - 1U};
}

} // namespace hanat::nat
