// The list of kernel modules, and the check of /sys/module.
#include "nat/kernel_modules.hpp"

#include <array>
#include <string_view>

namespace hanat::nat {
namespace {

/// The modules that Debian's kernels had loaded while hanatd ran, without those that these load themselves. tests/vm removes some of them.
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
