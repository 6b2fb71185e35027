// Reads /proc/net/netlink and /etc/keepalived.
#include "daemon/doctor/pair_checks.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netlink.h>

namespace hanat {
namespace {

constexpr std::string_view harmful_script = "primary-backup.sh"; // of Debian's conntrackd

std::string text_of(const std::filesystem::path& file) {
  std::ifstream from{file};
  return {std::istreambuf_iterator<char>{from}, {}};
}

} // namespace

std::optional<bool> conntrack_heard_in(std::string_view sockets) {
  // Bits of the groups: 1, 2 and 3 are new, changed and ended entries.
  constexpr unsigned long of_conntrack = NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY;
  std::istringstream lines{std::string{sockets}};
  std::string line;
  if (!std::getline(lines, line)) return std::nullopt; // names
  while (std::getline(lines, line)) {
    std::istringstream words{line};
    std::string socket, port, groups;
    int protocol = -1;
    if (words >> socket >> protocol >> port >> groups && protocol == NETLINK_NETFILTER &&
        (std::strtoul(groups.c_str(), nullptr, 16) & of_conntrack) == of_conntrack)
      return true;
  }
  return false;
}

std::vector<std::size_t> harmful_lines_in(std::string_view config) {
  std::vector<std::size_t> found;
  for (std::size_t number = 1; !config.empty(); ++number) {
    const std::string_view line = config.substr(0, config.find('\n'));
    config.remove_prefix(std::min(config.size(), line.size() + 1));
    const std::string_view used = line.substr(0, line.find_first_of("#!"));
    if (used.find(harmful_script) != std::string_view::npos) found.push_back(number);
  }
  return found;
}

PairFacts read_pair(const std::filesystem::path& keepalived) {
  PairFacts facts{.conntrack_heard = conntrack_heard_in(text_of("/proc/thread-self/net/netlink")), .harmful_scripts = {}};
  std::error_code ignored;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::recursive_directory_iterator entry{keepalived, ignored}, end; !ignored && entry != end; entry.increment(ignored))
    if (entry->path().extension() == ".conf" && entry->is_regular_file(ignored)) files.push_back(entry->path());
  std::ranges::sort(files);
  for (const std::filesystem::path& file : files)
    for (const std::size_t line : harmful_lines_in(text_of(file)))
      facts.harmful_scripts.push_back(fmt::format("{}:{}", file.string(), line));
  return facts;
}

bool is_pair(const std::vector<ServiceCheck>& services) {
  return std::ranges::any_of(services, [](const ServiceCheck& service) { return service.pair.has_value(); });
}

std::vector<Finding> check_pair(const std::vector<ServiceCheck>& services, const PairFacts& facts) {
  std::vector<Finding> found;
  if (!is_pair(services)) return found;
  const auto add = [&found](const char* code, const std::string& service, std::string what, std::string remedy) {
    found.push_back({.severity = Severity::warning,
                     .code = code,
                     .service = service,
                     .what = std::move(what),
                     .remedy = std::move(remedy),
                     .seen_by = {}});
  };
  for (const ServiceCheck& service : services)
    if (service.pair && service.masquerades)
      add("pair-masquerade", service.name,
          "snat = \"masquerade\" in a pair: servers see this gateway's own address, and connections end when the other gateway takes over",
          fmt::format("snat = \"ADDRESS\" in [service.{}], an address that moves with {}, then hanatctl reload", service.name,
                      service.pair->text()));
  if (facts.conntrack_heard == std::optional{false})
    add("conntrackd-dead", {},
        "nobody here hears what conntrack does, so conntrackd does not run: the other gateway knows no connection of this one",
        "systemctl restart conntrackd");
  for (const std::string& script : facts.harmful_scripts)
    add("pair-script", {},
        fmt::format("{} runs {}: it flushes the connections of the other gateway when this one becomes backup, and never says that this "
                    "gateway is settled",
                    script, harmful_script),
        "name the script of /usr/share/doc/hanat/examples/pair there, then systemctl reload keepalived");
  return found;
}

} // namespace hanat
