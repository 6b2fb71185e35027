// Looks at conntrackd for a moment, and reads /etc/keepalived.
#include "daemon/doctor/pair_checks.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace hanat {
namespace {

constexpr std::string_view harmful_script = "primary-backup.sh"; // of Debian's conntrackd

std::string text_of(const std::filesystem::path& file) {
  std::ifstream from{file};
  return {std::istreambuf_iterator<char>{from}, {}};
}

FlowSync watch_conntrackd() {
  constexpr int readings = 5; // as many as a verdict takes, and two for one that begins while conntrackd is busy
  constexpr std::chrono::milliseconds pause{100};
  FlowSyncJudge judge;
  FlowSync state = FlowSync::unknown;
  for (int reading = 0; reading < readings; ++reading) {
    if (reading > 0) std::this_thread::sleep_for(pause);
    state = judge.take(read_conntrack_listeners());
  }
  return state;
}

} // namespace

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
  PairFacts facts{.conntrackd = watch_conntrackd(), .harmful_scripts = {}};
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
  if (facts.conntrackd == FlowSync::absent)
    add("conntrackd-dead", {},
        "nobody here hears what conntrack does, so conntrackd does not run: the other gateway knows no connection of this one",
        "systemctl restart conntrackd");
  if (facts.conntrackd == FlowSync::behind)
    add("conntrackd-behind", {},
        "conntrackd hangs, or is too slow for what conntrack tells it: the other gateway does not know the newest connections",
        "systemctl restart conntrackd; if it comes again, a greater NetlinkBufferSize in conntrackd.conf");
  for (const std::string& script : facts.harmful_scripts)
    add("pair-script", {},
        fmt::format("{} runs {}: it flushes the connections of the other gateway when this one becomes backup, and never says that this "
                    "gateway is settled",
                    script, harmful_script),
        "name the script of /usr/share/doc/hanat/examples/pair there, then systemctl reload keepalived");
  return found;
}

} // namespace hanat
