// The input is the data of a match or a target of iptables: nothing outside it is read. The first byte selects which.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "nat/nftables/handles.hpp"
#include "nat/nftables/rule_parser.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hanat::nat;
  if (size < 2) return 0;
  constexpr std::array matches{"comment", "conntrack", "tcp", "udp"};
  constexpr std::array targets{"CT", "DNAT", "REJECT"};
  const bool is_match = (data[0] & 1) != 0;
  const std::size_t number = data[0] >> 1;
  const auto rule = made(RulePtr{nftnl_rule_alloc()});
  nftnl_expr* expression = made(nftnl_expr_alloc(is_match ? "match" : "target"));
  nftnl_expr_set_str(expression, is_match ? std::uint16_t{NFTNL_EXPR_MT_NAME} : std::uint16_t{NFTNL_EXPR_TG_NAME},
                     is_match ? matches[number % matches.size()] : targets[number % targets.size()]);
  nftnl_expr_set_u32(expression, is_match ? std::uint16_t{NFTNL_EXPR_MT_REV} : std::uint16_t{NFTNL_EXPR_TG_REV}, data[1] & 3);
  const std::size_t length = size - 2;
  auto* info = static_cast<std::uint8_t*>(std::malloc(length == 0 ? 1 : length)); // freed with the expression
  std::memcpy(info, data + 2, length);
  nftnl_expr_set(expression, is_match ? std::uint16_t{NFTNL_EXPR_MT_INFO} : std::uint16_t{NFTNL_EXPR_TG_INFO}, info,
                 static_cast<std::uint32_t>(length));
  nftnl_rule_add_expr(rule.get(), expression);
  const ForeignRule parsed = parse_rule(*rule);
  if (!parsed.from_iptables) std::abort();
  for (const Condition& condition : parsed.matches)
    if (condition.field != Condition::Field::iptables_state && condition.mask.size() != condition.value.size()) std::abort();
  return 0;
}
