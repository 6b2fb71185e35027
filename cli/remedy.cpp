// A remedy is told apart by its first word: the programs that remedies name.
#include "cli/remedy.hpp"

#include <algorithm>
#include <array>

#include "cli/text.hpp"

namespace hanat::cli {
namespace {

constexpr std::array<std::string_view, 16> programs{"bridge", "conntrack", "echo",     "firewall-cmd", "groupadd", "hanatctl",
                                                    "ip",     "ip6tables", "iptables", "journalctl",   "nft",      "ss",
                                                    "sysctl", "systemctl", "ufw",      "modprobe"};
constexpr std::string_view arrow = "-> ";

bool is_command(std::string_view text) {
  std::string_view word = text.substr(0, text.find(' '));
  for (const std::string_view end : {"-legacy-save", "-legacy"})
    if (word.ends_with(end)) word.remove_suffix(end.size());
  return std::ranges::find(programs, word) != programs.end();
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + separator.size());
  }
}

/// "on the server: ", "there: "; empty: it is to be run here.
std::string_view place_in(std::string_view remedy) {
  for (const std::string_view place : {"on the server: ", "there: "})
    if (remedy.starts_with(place)) return remedy.substr(0, place.size());
  return {};
}

/// "(to keep it: ...)" behind the command, with at least two blanks between them; empty: there is none.
std::string_view note_in(std::string_view remedy) {
  const std::size_t begin = remedy.find("  (");
  if (begin == std::string_view::npos || !remedy.ends_with(')')) return {};
  return remedy.substr(remedy.find('(', begin));
}

void trim_end(std::string_view& text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
}

} // namespace

std::vector<std::string> remedy_lines(std::string_view remedy, std::size_t width, std::size_t indent) {
  std::vector<std::string> lines;
  const std::string margin(indent, ' ');
  const auto add_text = [&](std::string_view text, std::size_t hang) {
    for (std::string& line : wrapped(margin + std::string{text}, width, indent + hang)) lines.push_back(std::move(line));
  };
  const std::string_view note = note_in(remedy);
  remedy.remove_suffix(note.size());
  trim_end(remedy);
  const std::string_view place = place_in(remedy);
  const std::vector<std::string_view> commands = split(remedy.substr(place.size()), "; ");
  if (std::ranges::all_of(commands, is_command)) {
    std::string_view where = place;
    trim_end(where);
    if (!where.empty()) add_text(where, 0);
    for (const std::string_view command : commands) lines.push_back(margin + std::string{arrow} + std::string{command});
  } else {
    add_text(std::string{arrow} + std::string{remedy}, arrow.size());
  }
  if (!note.empty()) add_text(std::string(arrow.size(), ' ') + std::string{note}, arrow.size());
  return lines;
}

std::string wrapped_message(std::string_view text, std::size_t width) {
  constexpr char held_blank = '\x01'; // texts are escaped: they have none
  constexpr std::size_t longest = 60;
  constexpr std::size_t hang = 2;
  std::string result;
  const bool ends = text.ends_with('\n');
  if (ends) text.remove_suffix(1);
  for (const std::string_view line : split(text, "\n")) {
    std::string held{line};
    for (std::size_t open = held.find('('); open != std::string::npos; open = held.find('(', open + 1)) {
      const std::size_t close = held.find(')', open);
      if (close != std::string::npos && close - open < std::min(longest, width / 2))
        std::replace(held.begin() + static_cast<std::ptrdiff_t>(open), held.begin() + static_cast<std::ptrdiff_t>(close), ' ', held_blank);
    }
    for (std::string& part : wrapped(held, line.starts_with(arrow) ? 0 : width, hang)) {
      std::ranges::replace(part, held_blank, ' ');
      result += (result.empty() ? "" : "\n") + part;
    }
  }
  return ends ? result + "\n" : result;
}

} // namespace hanat::cli
