// check_saved_ruleset(): text only, as nft would read it.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "daemon/doctor/rule_checks.hpp"

namespace hanat {
namespace {

constexpr const char* conf_path = "/etc/nftables.conf";
constexpr const char* enabled_path = "/etc/systemd/system/sysinit.target.wants/nftables.service";

Finding saved_finding(Severity severity, const char* code, std::string what, std::string remedy) {
  return {.severity = severity, .code = code, .service = {}, .what = std::move(what), .remedy = std::move(remedy), .seen_by = {}};
}

std::string without_nft_comments(const std::string& text) {
  static const std::regex comment{"#[^\n]*"};
  return std::regex_replace(text, comment, "");
}

} // namespace

std::vector<Finding> check_saved_ruleset(const std::string& text, bool at_boot, const std::string& path, const std::string& table) {
  std::vector<Finding> found;
  const std::string code = without_nft_comments(text);
  const std::regex copy{"table\\s+inet\\s+" + std::regex_replace(table, std::regex{"[^A-Za-z0-9_]"}, "\\$&") + "\\s*\\{"};
  if (std::regex_search(code, copy))
    found.push_back(saved_finding(
        Severity::warning, "saved-table",
        fmt::format("{} has a copy of hanat's table: loaded at boot it stands for targets of long ago until hanatd starts", path),
        fmt::format("delete `table inet {}` from {}", table, path)));
  static const std::regex flush{"flush\\s+ruleset"};
  if (at_boot && std::regex_search(code, flush))
    found.push_back(
        saved_finding(Severity::note, "flush-ruleset",
                      fmt::format("nftables.service flushes all tables at every restart ({}): hanat's too, while hanatd is stopped", path),
                      fmt::format("in {} delete your own tables instead of `flush ruleset`", path)));
  return found;
}

std::vector<Finding> check_saved_ruleset(const std::string& root, const std::string& table) {
  const std::filesystem::path base{root};
  std::ifstream file{base / std::filesystem::path{conf_path}.relative_path()};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  std::error_code ignored;
  const auto enabled = std::filesystem::symlink_status(base / std::filesystem::path{enabled_path}.relative_path(), ignored);
  return check_saved_ruleset(text, std::filesystem::exists(enabled), conf_path, table);
}

} // namespace hanat
