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

#include "daemon/api/pair_texts.hpp"

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

/// From 1; what a comment says does not count.
std::vector<std::size_t> lines_with(std::string_view word, std::string_view config) {
  std::vector<std::size_t> found;
  for (std::size_t number = 1; !config.empty(); ++number) {
    const std::string_view line = config.substr(0, config.find('\n'));
    config.remove_prefix(std::min(config.size(), line.size() + 1));
    const std::string_view used = line.substr(0, line.find_first_of("#!"));
    if (used.find(word) != std::string_view::npos) found.push_back(number);
  }
  return found;
}

/// The findings of a pair.
class Findings {
public:
  void add(Severity severity, const char* code, std::string what, std::string remedy, const std::string& service = {}) {
    found_.push_back(
        {.severity = severity, .code = code, .service = service, .what = std::move(what), .remedy = std::move(remedy), .seen_by = {}});
  }
  void add_conntrackd(bool absent, bool behind, const PairSide& side) {
    if (absent) add(Severity::warning, "conntrackd-dead", conntrackd_text(false, side), conntrackd_remedy(false, side));
    if (behind) add(Severity::warning, "conntrackd-behind", conntrackd_text(true, side), conntrackd_remedy(true, side));
  }
  void add_keepalived(const PairSide& side) {
    add(Severity::warning, "keepalived-dead", keepalived_dead_text(side), keepalived_remedy(side));
  }
  std::vector<Finding> take() { return std::move(found_); }

private:
  std::vector<Finding> found_;
};

/// By what the daemon knows of the other gateway.
void check_peer(const PairStatus& pair, const PeerStatus& peer, Findings& found) {
  const PairSide there{.peer = peer.address, .standby = peer.role == "standby"};
  if (is_lost(peer)) {
    found.add(Severity::warning, "peer-silent",
              fmt::format("the other gateway ({}) does not answer{}", peer.address, peer.failure ? ": " + *peer.failure : ""),
              "there: systemctl status hanatd; hanatctl status; and look at the cable between the gateways");
    return;
  }
  if (peer.both_active)
    found.add(Severity::problem, "pair-split", fmt::format("both gateways are active, this one and {}: {}", peer.address, split_text),
              std::string{split_remedy});
  if (peer.none_active)
    found.add(Severity::problem, "pair-idle", fmt::format("no gateway is active: neither has {}", pair.address), std::string{idle_remedy});
  if (peer.keepalived == "absent") found.add_keepalived(there);
  found.add_conntrackd(peer.conntrackd == "absent", peer.conntrackd == "behind", there);
}

} // namespace

std::vector<std::size_t> harmful_lines_in(std::string_view config) { return lines_with(harmful_script, config); }

bool has_instance(std::string_view config) { return !lines_with("vrrp_instance ", config).empty(); }

PairFacts read_pair(const std::filesystem::path& keepalived) {
  PairFacts facts{.conntrackd = watch_conntrackd(), .speaks_vrrp = read_vrrp().value_or(true), .instances = {}, .harmful_scripts = {}};
  std::error_code ignored;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::recursive_directory_iterator entry{keepalived, ignored}, end; !ignored && entry != end; entry.increment(ignored))
    if (entry->path().extension() == ".conf" && entry->is_regular_file(ignored)) files.push_back(entry->path());
  std::ranges::sort(files);
  for (const std::filesystem::path& file : files) {
    const std::string text = text_of(file);
    if (has_instance(text)) facts.instances.push_back(file.string());
    for (const std::size_t line : harmful_lines_in(text)) facts.harmful_scripts.push_back(fmt::format("{}:{}", file.string(), line));
  }
  return facts;
}

bool is_pair(const std::vector<ServiceCheck>& services) {
  return std::ranges::any_of(services, [](const ServiceCheck& service) { return service.pair != nullptr; });
}

std::vector<Finding> check_pair(const std::vector<ServiceCheck>& services, const PairFacts& facts) {
  Findings found;
  const auto of_pair = std::ranges::find_if(services, [](const ServiceCheck& service) { return service.pair != nullptr; });
  if (of_pair == services.end()) return {};
  const PairStatus& pair = *of_pair->pair;
  for (const ServiceCheck& service : services)
    if (service.pair && service.masquerades)
      found.add(Severity::warning, "pair-masquerade",
                "snat = \"masquerade\" in a pair: servers see this gateway's own address, and connections end when the other gateway takes "
                "over",
                fmt::format("snat = \"ADDRESS\" in [service.{}], an address that moves with {}, then hanatctl reload", service.name,
                            pair.address),
                service.name);
  const PairSide here{.standby = pair.role == "standby"};
  // Where it never ran since hanatd's start, keepalived's own configuration says that it should.
  if (!facts.speaks_vrrp && (pair.keepalived == "absent" || !facts.instances.empty())) found.add_keepalived(here);
  found.add_conntrackd(facts.conntrackd == FlowSync::absent, facts.conntrackd == FlowSync::behind, here);
  if (pair.peer) check_peer(pair, *pair.peer, found);
  for (const std::string& script : facts.harmful_scripts)
    found.add(
        Severity::warning, "pair-script",
        fmt::format("{} runs {}: it flushes the connections of the other gateway when this one becomes backup, and never says that this "
                    "gateway is settled",
                    script, harmful_script),
        "name the script of /usr/share/doc/hanat/examples/pair there, then systemctl reload keepalived");
  return found.take();
}

} // namespace hanat
