// The fixed part of the table: its sets, chains and rules, which never change while hanatd runs. The way of a client's packet is written
// here, front to back. Not here: elements (elements), messages (transaction).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nat/elements.hpp"
#include "nat/handles.hpp"

namespace hanat::nat {

/// Raised with every change below; another number in a loaded table means: replace the whole table in one transaction.
inline constexpr unsigned layout_version = 1;

/// The nfnetlink_log group to which the table's rules log packets of clients that got no service ("Ha"), and the prefixes that say why.
inline constexpr std::uint16_t log_group = 0x4861;
inline constexpr std::string_view log_refused = "hanat refused";         // a server's RST
inline constexpr std::string_view log_unanswered = "hanat unanswered";   // a client's SYN, sent again
inline constexpr std::string_view log_unreachable = "hanat unreachable"; // ICMP destination unreachable

/// The comment by which a table is known as hanat's: "hanat layout 1".
std::string table_comment();
/// Whether a comment of any layout version says that the table is hanat's.
bool is_ours(const std::string& comment);

struct Layout {
  std::vector<SetPtr> sets;
  std::vector<ChainPtr> chains;
  std::vector<RulePtr> rules; // in order, chain by chain
};
Layout make_layout(const std::string& table);

/// One text a set, chain or chain's rule list, in a fixed form: equal text means that nothing was touched.
std::string describe(const nftnl_set& set);
std::string describe(const nftnl_chain& chain);

} // namespace hanat::nat
