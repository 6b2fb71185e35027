// Services become blocks, those of one cause together; blocks become lines, which are wrapped and painted last.
#include "cli/show_status.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/daemon_notices.hpp"
#include "cli/listening.hpp"
#include "cli/notices.hpp"
#include "cli/remedy.hpp"
#include "cli/show_history.hpp"
#include "cli/show_pair.hpp"
#include "cli/show_peer.hpp"
#include "cli/text.hpp"
#include "cli/totals.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t usual_width = 80;
constexpr std::size_t fine_in_lines = 10; // more services without notices are listed by name alone

enum class Rank : std::uint8_t { unserved, trouble, note, fine };

/// Services to which the same happened.
struct Block {
  std::vector<const ServiceStatus*> services;
  Rank rank = Rank::fine;
};

/// The lines of a screen.
class Screen {
public:
  explicit Screen(const View& view) : view_(view), paint_(view.colour) {}
  /// `hang`: how far what does not fit stands to the right.
  void add(Colour colour, std::string_view text, std::size_t hang) {
    for (const std::string& line : wrapped(text, view_.width, hang)) text_ += paint_(colour, line) + "\n";
  }
  void add_remedy(std::string_view remedy, std::size_t indent) {
    for (const std::string& line : remedy_lines(remedy, view_.width, indent)) text_ += paint_(Colour::bold, line) + "\n";
  }
  void add_empty() { text_ += "\n"; }
  const View& view() const { return view_; }
  std::string take() { return std::move(text_); }

private:
  const View& view_;
  Colorizer paint_;
  std::string text_;
};

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ", ") + escaped(item);
  return text;
}

/// As many names as fit in `room` columns: "web, mail and 295 more".
std::string fitting(const std::vector<const ServiceStatus*>& services, std::size_t room) {
  std::string text;
  for (std::size_t index = 0; index < services.size(); ++index) {
    const std::string name = (index == 0 ? "" : ", ") + escaped(services[index]->name);
    const std::size_t left = services.size() - index - 1;
    const std::string rest = left == 0 ? "" : fmt::format(" and {} more", left);
    if (index > 0 && text.size() + name.size() + rest.size() > room) return text + fmt::format(" and {} more", left + 1);
    text += name;
  }
  return text;
}

/// "10.0.0.11:8443" without its port: services on one machine have one cause.
std::string_view host_of(std::string_view address) { return address.substr(0, address.rfind(':')); }

Rank rank_of(const ServiceStatus& service, const std::vector<Notice>& all) {
  if (!is_served(service)) return Rank::unserved;
  if (all.empty()) return Rank::fine;
  return all.front().trouble ? Rank::trouble : Rank::note;
}

/// Equal for services to which the same happened: where they are and why, and how their servers are, by machine.
std::string cause_of(const ServiceStatus& service, Rank rank) {
  std::string cause = fmt::format("{} {} {} {}", static_cast<int>(rank), service.target, service.why, service.mode);
  if (service.forced)
    cause += fmt::format(" forced {} {} {} {}", service.forced->target, service.forced->by, service.forced->reason,
                         service.forced->until.value_or(""));
  for (const ServerStatus& server : service.servers)
    cause += fmt::format(" {} {} {} {} {} {}", server.disabled ? server.disabled->by + server.disabled->reason : "", server.role,
                         host_of(server.address), health_word(server), server.recovering.has_value(),
                         server.health != "up" && server.last ? server.last->reason : "");
  cause += fmt::format(" {} {} {}", service.failback.waits_for.value_or(""), service.would_target.value_or(""), drains_nothing(service));
  if (!service.foreign.empty()) cause += " " + service.name;
  for (const ListenStatus& listener : service.interfaces)
    for (const std::string& problem : listener.problems) cause += " " + problem;
  if (std::ranges::any_of(service.interfaces, [](const ListenStatus& listener) { return !listener.held.empty(); })) cause += " held";
  for (const ServerStatus& server : service.servers)
    if (server.flapping || server.warning) cause += " " + service.name;
  if (service.path.state == "unanswered") {
    cause += " unanswered";
    for (const FindingStatus& found : service.path.findings) cause += " " + found.what;
  }
  return cause;
}

std::vector<Block> blocks_of(const std::vector<ServiceStatus>& services, Detail detail, WallTime now) {
  std::vector<Block> blocks;
  std::map<std::string, std::size_t> by_cause;
  for (const ServiceStatus& service : services) {
    const Rank rank = rank_of(service, notices(service, now));
    if (detail == Detail::overview && rank != Rank::fine) {
      const auto [known, fresh] = by_cause.emplace(cause_of(service, rank), blocks.size());
      if (!fresh) {
        blocks[known->second].services.push_back(&service);
        continue;
      }
    }
    blocks.push_back({.services = {&service}, .rank = rank});
  }
  std::ranges::stable_sort(blocks, {}, &Block::rank);
  return blocks;
}

/// "since 13:59:22 (43 s)"
std::string since(const std::string& time, WallTime now) {
  const auto age = seconds_since(time, now);
  return fmt::format("since {}{}", local_time(time, now), age ? fmt::format(" ({})", duration(*age)) : "");
}

std::string heading(const Block& block, WallTime now) {
  const ServiceStatus& first = *block.services.front();
  const char* const mark = block.rank == Rank::fine ? "  " : block.rank == Rank::note ? " !" : "!!";
  const bool several = block.services.size() > 1;
  const std::string group = first.group ? fmt::format(" (group {})", escaped(*first.group)) : "";
  const std::string who = several ? plural(block.services.size(), "service") : escaped(first.name) + group;
  const std::string address = several || !first.target_address ? "" : " " + escaped(*first.target_address);
  const std::string why = block.rank == Rank::fine ? "" : ", " + escaped(first.why);
  std::string earliest = first.since;
  for (const ServiceStatus* service : block.services) earliest = std::min(earliest, service->since);
  return fmt::format("{} {} -> {}{}{}, {}", mark, who, escaped(first.target), address, why, since(earliest, now));
}

Colour colour_of(const ServerStatus& server) {
  if (server.disabled) return Colour::yellow;
  if (server.health == "up") return Colour::none;
  return server.health == "down" && !server.recovering ? Colour::red : Colour::yellow;
}

void add_servers(Screen& screen, const ServiceStatus& service) {
  const auto address_of = [](const ServerStatus& server) {
    const std::string text = server.addresses.empty() ? escaped(server.address) : joined(server.addresses);
    return server.name ? with_name(text, *server.name) : text;
  };
  std::size_t role = 0, address = 0;
  for (const auto& server : service.servers) {
    role = std::max(role, escaped(server.role).size());
    address = std::max(address, address_of(server).size());
  }
  for (const auto& server : service.servers) {
    const std::string disabled = server.disabled ? "disabled, " : "";
    const std::string state =
        disabled + (server.recovering ? fmt::format("recovering: {}", show_recovery(*server.recovering))
                                      : fmt::format("{:<7}  {}", health_word(server), show_last(server.last, server.fails)));
    screen.add(colour_of(server),
               fmt::format("   {} {:<{}}  {:<{}}  {}", server.role == service.target ? "->" : "  ", escaped(server.role), role,
                           address_of(server), address, state),
               8);
    for (const ProbeStatus& probe : server.probes)
      if (probe.health != "up")
        screen.add(Colour::none,
                   fmt::format("        {}: {}, {}", escaped(probe.name), escaped(probe.health), show_last(probe.last, probe.fails)), 10);
  }
}

/// What several services have in common: their machines.
void add_hosts(Screen& screen, const ServiceStatus& service) {
  for (const auto& server : service.servers) {
    const std::string reason = server.health != "up" && server.last ? ", " + escaped(server.last->reason) : "";
    screen.add(colour_of(server),
               fmt::format("   {} {} {}: {}{}", server.role == service.target ? "->" : "  ", escaped(server.role),
                           escaped(host_of(server.address)),
                           server.disabled     ? "disabled"
                           : server.recovering ? "recovering"
                                               : health_word(server),
                           reason),
               8);
  }
}

/// The service that stands for all of a block: what is only one's own is left out or added up.
ServiceStatus common_of(const Block& block) {
  ServiceStatus common = *block.services.front();
  if (block.services.size() == 1) return common;
  common.name = "SERVICE";
  common.failback_in_s.reset();
  common.draining.clear();
  common.path.unanswered_clients = 0;
  for (const ServiceStatus* service : block.services) common.path.unanswered_clients += service->path.unanswered_clients;
  return common;
}

void add_block(Screen& screen, const Block& block, Detail detail) {
  const WallTime now = screen.view().now;
  const ServiceStatus common = common_of(block);
  const Colour colour = block.rank == Rank::fine ? Colour::green : block.rank == Rank::note ? Colour::yellow : Colour::red;
  screen.add(colour, heading(block, now), 6);
  const bool several = block.services.size() > 1;
  if (several) screen.add(Colour::none, "   " + fitting(block.services, usual_width - 3), 3);
  if (detail == Detail::full)
    screen.add(Colour::none,
               fmt::format("   listens on {}{}", listening_on(common),
                           common.mode == "auto" ? "" : fmt::format(" (mode {})", escaped(common.mode))),
               6);
  for (const Notice& notice : notices(common, now)) {
    screen.add(Colour::none, "   " + notice.text, 5);
    for (const std::string& remedy : notice.remedies)
      screen.add_remedy(several && remedy == "hanatctl doctor SERVICE" ? "hanatctl doctor" : remedy, 5);
  }
  if (several) {
    const auto drain = std::ranges::count_if(block.services, [](const ServiceStatus* service) { return !drains_nothing(*service); });
    if (drain > 0) screen.add(Colour::none, "   old flows drain or are kept: hanatctl status SERVICE", 5);
    return add_hosts(screen, common);
  }
  if (detail == Detail::full || block.rank != Rank::fine) add_servers(screen, common);
  if (detail != Detail::full) return;
  if (!common.last_flip) return screen.add(Colour::none, "   no flip yet", 5);
  const auto age = seconds_since(common.last_flip->at, now);
  screen.add(Colour::none,
             fmt::format("   last flip {}{}: {}; {} since hanatd started", local_time(common.last_flip->at, now),
                         age ? fmt::format(" ({} ago)", duration(*age)) : "", show_flip(*common.last_flip), plural(common.flips, "flip")),
             5);
}

void add_head(Screen& screen, const DaemonStatus& daemon) {
  const View& view = screen.view();
  std::string head = view.host.empty() ? "" : escaped(view.host) + "  ";
  head += fmt::format("{} {}  hanatd{} up {}", local_time(view.now, view.now), zone_name(view.now),
                      daemon.version.empty() ? "" : " " + escaped(daemon.version), duration(daemon.uptime_s));
  screen.add(Colour::bold, head, 3);
  if (daemon.pair)
    screen.add(daemon.pair->role == "settling" ? Colour::yellow : Colour::none, show_pair(*daemon.pair, view) + show_peer(*daemon.pair), 3);
  for (const Notice& notice : daemon_notices(daemon, view.now)) {
    screen.add(notice.trouble ? Colour::red : Colour::yellow, (notice.trouble ? "!! " : " ! ") + notice.text, 3);
    for (const std::string& remedy : notice.remedies) screen.add_remedy(remedy, 3);
  }
}

/// "2 problems, 1 note; 297 of 300 services at their primary"
void add_totals(Screen& screen, const Status& status, const std::vector<Block>& blocks) {
  std::size_t problems = 0, notes = 0;
  for (const Notice& notice : daemon_notices(status.daemon, screen.view().now)) ++(notice.trouble ? problems : notes);
  for (const Block& block : blocks) {
    if (block.rank == Rank::note) ++notes;
    if (block.rank == Rank::unserved || block.rank == Rank::trouble) ++problems;
  }
  const std::string what = problems == 0 ? "no problems" : plural(problems, "problem");
  screen.add(problems > 0 ? Colour::red
             : notes > 0  ? Colour::yellow
                          : Colour::green,
             fmt::format("{}{}; {}", what, notes == 0 ? "" : ", " + plural(notes, "note"), totals_of(status)), 3);
}

/// Services of which there is nothing to say.
void add_fine(Screen& screen, const std::vector<Block>& blocks) {
  std::vector<const ServiceStatus*> fine;
  for (const Block& block : blocks)
    if (block.rank == Rank::fine) fine.push_back(block.services.front());
  if (fine.empty()) return;
  screen.add_empty();
  if (fine.size() <= fine_in_lines) {
    for (const Block& block : blocks)
      if (block.rank == Rank::fine) add_block(screen, block, Detail::overview);
    return;
  }
  const std::string begin = fmt::format("{} fine: ", fine.size());
  screen.add(Colour::green, begin + fitting(fine, usual_width - begin.size()), 3);
  screen.add(Colour::none, "all of them: hanatctl status --all; one: hanatctl status SERVICE", 3);
}

} // namespace

std::string show_last(const std::optional<LastResult>& last, const FailsStatus& fails) {
  if (!last) return "not probed yet";
  std::string text = last->outcome == "inconclusive" ? "inconclusive: " : "";
  text += escaped(last->reason);
  if (!last->detail.empty()) text += fmt::format(" ({})", escaped(last->detail));
  if (!last->wanted.empty()) text += fmt::format(", wanted: {}", escaped(last->wanted));
  if (fails.count > 0) text += fmt::format(", {} of {} fails in {:g} s", fails.count, fails.of, fails.within_s);
  if (last->outcome == "pass") text += fmt::format(" {:.2f} ms", last->latency_ms);
  return text + fmt::format(", {} ago", duration(last->age_s));
}

std::string show_status(const Status& status, Detail detail, const View& view) {
  Screen screen{view};
  add_head(screen, status.daemon);
  if (status.services.empty()) {
    screen.add(Colour::none, "no services: write one into /etc/hanat/conf.d/NAME.toml, then hanatctl reload", 3);
    return screen.take();
  }
  const std::vector<Block> blocks = blocks_of(status.services, detail, view.now);
  add_totals(screen, status, blocks);
  for (const Block& block : blocks) {
    if (detail == Detail::overview && block.rank == Rank::fine) continue;
    screen.add_empty();
    add_block(screen, block, detail);
  }
  if (detail == Detail::overview) add_fine(screen, blocks);
  return screen.take();
}

} // namespace hanat::cli
