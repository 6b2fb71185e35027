// Line by line, so that an error of the configuration's own parser finds its service.
#include "cli/import/write_toml.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/import/values.hpp"
#include "daemon/util/duration.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli::imports {
namespace {

constexpr std::size_t line_width = 120; // of comments; one word may be longer
constexpr std::size_t longest_quote = 160;

class LineText {
public:
  std::size_t next() const { return count_ + 1; }
  void add(std::string_view line) {
    text_ += line;
    text_ += '\n';
    ++count_;
  }
  /// Words, wrapped; every line begins with `prefix`.
  void comment(std::string_view prefix, std::string_view words) {
    std::string line{prefix};
    bool empty = true;
    for (const std::string_view word : split(words)) {
      if (!empty && line.size() + 1 + word.size() > line_width) {
        add(line);
        line = prefix;
        empty = true;
      }
      if (!empty) line += ' ';
      line += word;
      empty = false;
    }
    if (!empty) add(line);
  }
  std::string take() { return std::move(text_); }

private:
  static std::vector<std::string_view> split(std::string_view words) {
    std::vector<std::string_view> result;
    while (!words.empty()) {
      const auto end = words.find(' ');
      if (end != 0) result.push_back(words.substr(0, end));
      words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
    }
    return result;
  }

  std::string text_;
  std::size_t count_ = 0;
};

/// On one line, and printable.
std::string old_text(std::string text, std::size_t longest) {
  std::ranges::replace(text, '\t', ' ');
  return shortened(escaped(text), longest);
}

std::string place_text(const Place& place) { return fmt::format("{}:{}", escaped(place.file), place.line); }

/// LOST and NOTE are words to search for: nothing else begins a line with them.
void write_note(LineText& lines, const Note& note) {
  const std::string old = old_text(note.text, longest_quote);
  lines.add(fmt::format("# {}: {}: {}", note.loss == Loss::lost ? "LOST" : "NOTE", place_text(note.place), old));
  for (const std::string_view line : lines_in(note.why))
    if (line.starts_with(' ')) // a command, to be copied
      lines.add("#   " + escaped(line));
    else
      lines.comment("#   ", escaped(line));
}

/// What the configuration's own parser says of it.
void write_refused(LineText& lines, const Place& place, std::string what, std::string why) {
  write_note(lines, {.place = place, .text = std::move(what), .why = std::move(why), .loss = Loss::lost});
}

void write_notes(LineText& lines, const std::vector<Note>& notes) {
  for (const Note& note : notes)
    if (note.loss != Loss::needless) write_note(lines, note);
}

/// "10.0.0.11:8443", "10.0.0.11:6000-6100", "10.0.0.11"
std::string server_text(const Server& server) {
  std::string text = hanat::to_text(Endpoint{.address = server.address, .port = server.ports.first});
  if (server.ports.first == 0) return server.address.text();
  if (server.ports.last > server.ports.first) text += fmt::format("-{}", server.ports.last);
  return text;
}

std::string probe_text(const ProbeText& probe) {
  std::vector<std::string> keys{fmt::format("type = {}", toml_string(probe.type))};
  const auto time = [&](std::string_view name, const std::optional<milliseconds>& value) {
    if (value) keys.push_back(fmt::format("{} = \"{}\"", name, duration_text(*value)));
  };
  time("interval", probe.interval);
  time("fast_interval", probe.fast_interval);
  time("down_interval", probe.down_interval);
  time("timeout", probe.timeout);
  for (const ProbeKey& key : probe.keys) keys.push_back(fmt::format("{} = {}", key.name, key.value));
  return fmt::format("{{ {} }}", fmt::join(keys, ", "));
}

std::string probes_text(const std::vector<ProbeText>& probes) {
  std::vector<std::string> texts;
  texts.reserve(probes.size());
  for (const ProbeText& probe : probes) texts.push_back(probe_text(probe));
  return texts.size() == 1 ? texts.front() : fmt::format("[{}]", fmt::join(texts, ", "));
}

bool share_probes(const Service& service) {
  return std::ranges::all_of(service.servers, [&](const Server& server) { return server.probes == service.servers.front().probes; });
}

/// A server that never answers must be able to go down: timeout + (fails - 1) x fast_interval < within.
std::optional<std::string> down_text(const Service& service) {
  constexpr unsigned built_in_fails = 3;
  constexpr milliseconds built_in_within{10'000}, built_in_timeout{500}, built_in_burst{50}, most{86'400'000};
  milliseconds longest = built_in_timeout;
  const unsigned fails = service.fails.value_or(built_in_fails);
  for (const Server& server : service.servers)
    for (const ProbeText& probe : server.probes) {
      const milliseconds burst = probe.fast_interval.value_or(std::min(built_in_burst, probe.interval.value_or(built_in_burst)));
      longest = std::max(longest, probe.timeout.value_or(built_in_timeout) + (fails - 1) * burst);
    }
  const milliseconds within = std::chrono::ceil<std::chrono::seconds>(longest * 3 / 2);
  if (!service.fails && within <= built_in_within) return std::nullopt;
  return fmt::format("down = {{ fails = {}, within = \"{}\" }}", fails, duration_text(std::clamp(within, built_in_within, most)));
}

void write_server_table(LineText& lines, std::string_view prefix, const Server& server, bool with_probes) {
  lines.add(fmt::format("{}address = {}", prefix, toml_string(server_text(server))));
  if (!server.snat.empty()) lines.add(fmt::format("{}snat = {}", prefix, toml_string(server.snat)));
  if (with_probes && !server.probes.empty()) lines.add(fmt::format("{}probe = {}", prefix, probes_text(server.probes)));
}

std::string primary_text(const Server& server, bool with_probes) {
  std::string text = fmt::format("{{ address = {}", toml_string(server_text(server)));
  if (!server.snat.empty()) text += fmt::format(", snat = {}", toml_string(server.snat));
  if (with_probes && !server.probes.empty()) text += fmt::format(", probe = {}", probes_text(server.probes));
  return text + " }";
}

void write_servers(LineText& lines, std::string_view prefix, const Service& service, bool tables) {
  if (service.servers.empty()) {
    lines.add(fmt::format("{}primary = \"ADDRESS:PORT\"", prefix));
    return;
  }
  if (tables) {
    lines.add(fmt::format("{}primary = {}", prefix, primary_text(service.servers.front(), !share_probes(service))));
    return;
  }
  lines.add(fmt::format("{}primary = {}", prefix, toml_string(server_text(service.servers.front()))));
  std::vector<std::string> backups;
  for (std::size_t index = 1; index < service.servers.size(); ++index) backups.push_back(server_text(service.servers[index]));
  if (!backups.empty()) lines.add(fmt::format("{}backup = {}", prefix, toml_list(backups)));
}

Lines write_service(LineText& lines, const Service& service) {
  const std::string_view prefix = service.refused.empty() ? "" : "# ";
  const Lines block{.first = lines.next(), .last = 0};
  lines.add(fmt::format("# {}", place_text(service.place)));
  if (!service.refused.empty())
    write_refused(lines, service.place, fmt::format("all of service {}: it stands here as a comment", service.name), service.refused);
  write_notes(lines, service.notes);
  lines.add(fmt::format("{}[service.{}]", prefix, service.name.find('.') == std::string::npos ? service.name : toml_string(service.name)));
  std::vector<std::string> listen;
  listen.reserve(service.listen.size());
  for (const Listen& entry : service.listen) listen.push_back(to_text(entry));
  lines.add(fmt::format("{}listen = {}", prefix, listen.empty() ? "\"ADDRESS:PORT/tcp\"" : toml_list(listen)));
  const bool shared = share_probes(service);
  const bool tables = !shared || std::ranges::any_of(service.servers, [](const Server& server) { return !server.snat.empty(); });
  write_servers(lines, prefix, service, tables);
  if (!service.snat.empty()) {
    lines.comment("# ", escaped(service.snat_why));
    lines.add(fmt::format("{}snat = {}", prefix, toml_string(service.snat)));
  }
  if (shared && !service.servers.empty() && !service.servers.front().probes.empty())
    lines.add(fmt::format("{}probe = {}", prefix, probes_text(service.servers.front().probes)));
  if (const auto down = down_text(service)) lines.add(fmt::format("{}{}", prefix, *down));
  if (service.passes) lines.add(fmt::format("{}up = {{ passes = {} }}", prefix, *service.passes));
  if (tables)
    for (std::size_t index = 1; index < service.servers.size(); ++index) {
      lines.add(fmt::format("{}[[service.{}.backup]]", prefix,
                            service.name.find('.') == std::string::npos ? service.name : toml_string(service.name)));
      write_server_table(lines, prefix, service.servers[index], !shared);
    }
  const Lines written{.first = block.first, .last = lines.next() - 1};
  lines.add("");
  return written;
}

Lines write_pair(LineText& lines, const PairText& pair) {
  const std::string_view prefix = pair.refused.empty() ? "" : "# ";
  const std::size_t first = lines.next();
  if (!pair.refused.empty()) write_refused(lines, pair.place, "[pair]: it stands here as a comment", pair.refused);
  write_note(lines,
             {.place = pair.place,
              .text = pair.text,
              .why = fmt::format("it moves addresses between two gateways, so this is one of two. hanatd is active while the address below "
                                 "is on this machine, and "
                                 "standby while it is not.\n"
                                 "The address is from {}: {}; it is the first {}.\n"
                                 "Remove [pair] where there is no second gateway: then hanatd acts alone.\n"
                                 "keepalived goes on moving the addresses, with its notify scripts and mails about that. The keys for the "
                                 "link between two gateways: two-gateways.md in /usr/share/doc/hanat, and [pair] in hanat.toml(5)",
                                 place_text(pair.address_place), pair.address_text,
                                 pair.served ? "that a service listens on" : "of the instance, and no service of this file listens on one"),
              .loss = Loss::hint});
  lines.add(fmt::format("{}[pair]", prefix));
  lines.add(fmt::format("{}address = {}", prefix, toml_string(pair.address.text())));
  const Lines written{.first = first, .last = lines.next() - 1};
  lines.add("");
  return written;
}

/// One line for each reason, with all places of it.
void write_needless(LineText& lines, const Imported& imported) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups; // in the order of their first place
  std::map<std::string, std::size_t> known;
  const auto collect = [&](const std::vector<Note>& notes) {
    for (const Note& note : notes) {
      if (note.loss != Loss::needless) continue;
      const auto [found, added] = known.try_emplace(note.why, groups.size());
      if (added) groups.emplace_back(note.why, std::vector<std::string>{});
      groups[found->second].second.push_back(fmt::format("{}: {}", place_text(note.place), old_text(note.text, 60)));
    }
  };
  for (const Service& service : imported.services) collect(service.notes);
  collect(imported.notes);
  if (groups.empty()) return;
  lines.add("# ---- not needed with hanat");
  lines.add("");
  for (const auto& [why, places] : groups) {
    lines.comment("# ", escaped(why));
    for (const std::string& place : places) lines.add(fmt::format("#   {}", place));
  }
}

} // namespace

std::string to_text(const Listen& listen) {
  std::string text = listen.interface.empty() ? hanat::to_text(Endpoint{.address = listen.address, .port = listen.ports.first})
                                              : fmt::format("{}:{}", listen.interface, listen.ports.first);
  if (listen.ports.first == 1 && listen.ports.last == UINT16_MAX) {
    text.resize(text.rfind(':') + 1);
    text += '*';
  } else if (listen.ports.last > listen.ports.first) {
    text += fmt::format("-{}", listen.ports.last);
  }
  return fmt::format("{}/{}", text, hanat::to_text(listen.protocol));
}

namespace {

/// How the old system leaves, once hanatd has the traffic.
std::string_view last_step(std::string_view system) {
  if (system == "keepalived") return "take the virtual_server blocks out of keepalived's file and reload it (its VRRP stays)";
  if (system == "iptables") return "delete the DNAT rules that are services now";
  return "stop the old system";
}

} // namespace

TomlText write_toml(const Imported& imported) {
  TomlText result;
  LineText lines;
  lines.add(fmt::format("# Made from a configuration of {} by hanatctl import.", imported.system));
  lines.add("# LOST marks what was not carried over, with its line in the old file, the reason, and what to do. NOTE explains what was.");
  lines.add("# Read both, then: hanatctl check FILE");
  lines.comment("# ",
                "For a hanatd that already has services: make this a file of its own in /etc/hanat/conf.d, remove [defaults] and [pair] "
                "from it, which would change those services, too, and write mode = \"observe\" into each [service.NAME].");
  lines.add("");
  for (const PairText& pair : imported.pair) result.pair = write_pair(lines, pair);
  lines.add("[defaults]");
  lines.comment("# ",
                fmt::format("observe: hanatd probes and decides, but touches no traffic, so the old system may go on. To switch over, "
                            "remove this line, run hanatctl reload, then {}.",
                            last_step(imported.system)));
  lines.add("mode = \"observe\"");
  lines.add("");
  for (const Service& service : imported.services) result.services.push_back(write_service(lines, service));
  if (std::ranges::any_of(imported.notes, [](const Note& note) { return note.loss != Loss::needless; })) {
    lines.add("# ---- lines that belong to no service");
    lines.add("");
    write_notes(lines, imported.notes);
    lines.add("");
  }
  write_needless(lines, imported);
  result.text = lines.take();
  while (result.text.ends_with("\n\n")) result.text.pop_back();
  return result;
}

} // namespace hanat::cli::imports
