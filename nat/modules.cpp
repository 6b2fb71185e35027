#include "nat/modules.hpp"

#include <array>
#include <string_view>

namespace hanat::nat {
namespace {

/// What Debian's kernels had loaded once hanatd ran, without what these pull in themselves. tests/vm takes some of them away.
constexpr std::array<std::string_view, 9> needed{
    "nf_conntrack_netlink", "nf_tables", "nft_chain_nat", "nft_ct", "nft_limit", "nft_log", "nft_masq", "nft_nat", "nft_reject_inet"};

} // namespace

std::vector<std::string> modules_not_loaded(const std::filesystem::path& loaded) {
  std::vector<std::string> names;
  std::error_code ignored;
  if (!std::filesystem::is_directory(loaded, ignored)) return names;
  for (const std::string_view name : needed)
    if (!std::filesystem::exists(loaded / name, ignored)) names.emplace_back(name);
  return names;
}

} // namespace hanat::nat
