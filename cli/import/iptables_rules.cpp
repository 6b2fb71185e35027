// Option by option; one that is not known is kept as what the rule has besides.
#include "cli/import/iptables_rules.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "cli/import/values.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli::imports {
namespace {

/// Arguments as iptables-save quotes them.
std::vector<std::string> split_arguments(std::string_view line, const Place& place) {
  std::vector<std::string> arguments;
  std::string current;
  bool quoted = false, begun = false;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const char c = line[at];
    if (c == '\\' && at + 1 < line.size() && quoted) {
      current += line[++at];
    } else if (c == '"') {
      quoted = !quoted;
      begun = true;
    } else if ((c == ' ' || c == '\t') && !quoted) {
      if (begun || !current.empty()) arguments.push_back(std::exchange(current, {}));
      begun = false;
    } else {
      current += c;
    }
  }
  if (quoted) throw ImportError(place, "a quotation mark is not closed: write the file again with iptables-save");
  if (begun || !current.empty()) arguments.push_back(current);
  return arguments;
}

std::optional<Net> net_of(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const auto longest = static_cast<unsigned>(address->bytes().size() * 8);
  if (slash == std::string_view::npos) return Net{.address = *address, .length = longest};
  const std::string_view mask = text.substr(slash + 1);
  if (const auto length = whole_number(mask, longest)) return Net{.address = *address, .length = static_cast<unsigned>(*length)};
  if (mask == "255.255.255.255") return Net{.address = *address, .length = longest};
  return std::nullopt;
}

class RuleParser {
public:
  RuleParser(const std::vector<std::string>& arguments, IptablesRule& rule) : arguments_{arguments}, rule_{rule} {}

  void run() {
    while (at_ < arguments_.size()) {
      const bool negated = arguments_[at_] == "!";
      if (negated && ++at_ == arguments_.size()) return;
      const std::size_t begin = at_;
      const std::string option = arguments_[at_++];
      if (negated) {
        keep(begin - 1);
        continue;
      }
      if (!take_match(option) && !take_target(option)) keep(begin);
    }
  }

private:
  std::string value() { return at_ < arguments_.size() ? arguments_[at_++] : std::string{}; }

  /// An option that is not known, with its values.
  void keep(std::size_t from) {
    while (at_ < arguments_.size() && !arguments_[at_].starts_with('-') && arguments_[at_] != "!") ++at_;
    if (!rule_.other.empty()) return;
    for (std::size_t index = from; index < at_; ++index) rule_.other += (index == from ? "" : " ") + arguments_[index];
  }

  void take_net(std::optional<Net>& net, const std::string& option) {
    const std::string text = value();
    net = net_of(text);
    if (!net && rule_.other.empty()) rule_.other = fmt::format("{} {}", option, text);
  }

  void take_ports(const std::string& option) {
    std::string text = value();
    while (!text.empty()) {
      const auto comma = text.find(',');
      const std::string part = text.substr(0, comma);
      const auto ports = part == "0:65535" ? std::optional{Ports{.first = 1, .last = UINT16_MAX}} : ports_of(part, ':');
      if (ports)
        rule_.ports.push_back(*ports);
      else if (rule_.other.empty())
        rule_.other = fmt::format("{} {}", option, part);
      text = comma == std::string::npos ? std::string{} : text.substr(comma + 1);
    }
  }

  void take_protocol() {
    rule_.protocol = value();
    if (rule_.protocol == "all") rule_.protocol.clear();
    if (rule_.protocol == "6") rule_.protocol = "tcp";
    if (rule_.protocol == "17") rule_.protocol = "udp";
    if (rule_.protocol == "132") rule_.protocol = "sctp";
  }

  bool take_match(const std::string& option) {
    static constexpr std::array silent{"tcp", "udp", "sctp", "multiport", "comment", "statistic", "addrtype", "conntrack", "state"};
    if (option == "-m" || option == "--match") {
      const std::string module = value();
      if (std::ranges::find(silent, module) == silent.end() && rule_.other.empty()) rule_.other = fmt::format("-m {}", module);
    } else if (option == "-d" || option == "--destination") {
      take_net(rule_.destination, option);
    } else if (option == "-s" || option == "--source") {
      take_net(rule_.source, option);
    } else if (option == "-p" || option == "--protocol") {
      take_protocol();
    } else if (option == "--dport" || option == "--dports" || option == "--destination-port" || option == "--destination-ports") {
      take_ports(option);
    } else if (option == "-i" || option == "--in-interface") {
      rule_.in = value();
    } else if (option == "-o" || option == "--out-interface") {
      rule_.out = value();
    } else {
      return take_module_option(option);
    }
    return true;
  }

  bool take_module_option(const std::string& option) {
    const bool new_ones = (option == "--ctstate" || option == "--state") && at_ < arguments_.size() && arguments_[at_] == "NEW";
    if (option == "--comment" || new_ones) { // NAT sees new connections alone
      value();
    } else if (option == "--mode" || option == "--probability" || option == "--every" || option == "--packet") {
      value();
      rule_.spread = true;
    } else if (option == "--dst-type" && at_ < arguments_.size() && arguments_[at_] == "LOCAL") {
      value();
      rule_.local = true;
    } else {
      return false;
    }
    return true;
  }

  bool take_target(const std::string& option) {
    if (option == "-j" || option == "--jump" || option == "-g" || option == "--goto") {
      rule_.target = value();
      rule_.goes_to = option == "-g" || option == "--goto";
    } else if (option == "--to-destination" || option == "--to-source" || option == "--to" || option == "--to-ports") {
      rule_.to = value();
    } else {
      return option == "--random" || option == "--random-fully" || option == "--persistent";
    }
    return true;
  }

  const std::vector<std::string>& arguments_;
  IptablesRule& rule_;
  std::size_t at_ = 0;
};

/// "[12:34] -A ...": without the counters.
std::string_view without_counters(std::string_view line) {
  if (!line.starts_with('[')) return line;
  const auto end = line.find(']');
  return end == std::string_view::npos ? line : trimmed(line.substr(end + 1));
}

IptablesRule read_rule(std::string_view line, const Place& place) {
  IptablesRule rule;
  rule.place = place;
  rule.text = std::string{line};
  std::vector<std::string> arguments = split_arguments(line, place);
  if (arguments.size() < 2) throw ImportError(place, "the rule has no chain: write the file again with iptables-save");
  rule.chain = arguments[1];
  arguments.erase(arguments.begin(), arguments.begin() + 2);
  RuleParser{arguments, rule}.run();
  return rule;
}

[[noreturn]] void refuse_line(std::string_view line, const Place& place) {
  if (line.starts_with("iptables") || line.starts_with("ip6tables") || line.starts_with("#!") ||
      line.find("iptables ") != std::string_view::npos)
    throw ImportError(place, "is a script, not the text of iptables-save: load its rules, then run iptables-save (for IPv6 ip6tables-save) "
                             "and import what it prints");
  if (line.starts_with("table ") || line.starts_with("add "))
    throw ImportError(place, "looks like nftables: hanatctl imports the text of iptables-save alone");
  throw ImportError(place,
                    fmt::format("\"{}\" is no line of iptables-save: run iptables-save (for IPv6 ip6tables-save), and import what it "
                                "prints",
                                shortened(escaped(line), 60)));
}

void end_table(IptablesNat& nat, const Place& place, const std::string& table, std::size_t rules) {
  if (table.empty() || table == "nat" || rules == 0) return;
  nat.notes.push_back({.place = place,
                       .text = fmt::format("*{} ({} rule{})", table, rules, rules == 1 ? "" : "s"),
                       .why = "keep it in iptables: hanat leaves the tables of others alone. FORWARD must accept what goes to the servers",
                       .loss = Loss::needless});
}

} // namespace

bool Net::contains(const Address& other) const {
  const auto own = address.bytes(), theirs = other.bytes();
  if (own.size() != theirs.size()) return false;
  for (unsigned bit = 0; bit < length; ++bit)
    if (((own[bit / 8] ^ theirs[bit / 8]) & (0x80U >> bit % 8)) != 0) return false;
  return true;
}

IptablesNat read_iptables(const SourceText& source) {
  IptablesNat nat;
  std::string table;
  Place begin;
  std::size_t number = 0, rules = 0;
  for (std::string_view line : lines_in(source.text)) {
    const Place place{.file = source.name, .line = ++number};
    line = trimmed(line);
    if (line.empty() || (line.starts_with('#') && !line.starts_with("#!"))) continue;
    line = without_counters(line);
    if (line.starts_with('*')) {
      end_table(nat, begin, table, rules);
      table = std::string{line.substr(1)};
      begin = place;
      rules = 0;
    } else if (line == "COMMIT") {
      end_table(nat, begin, table, rules);
      table.clear();
    } else if (table == "filter" && line.starts_with(":FORWARD DROP")) {
      nat.notes.push_back(
          {.place = place,
           .text = std::string{line},
           .why = "FORWARD drops what no rule of it accepts, and hanat leaves it alone: it must accept connections to every server, "
                  "also to a backup that you add, or clients hang as soon as the backup has the traffic. For all that is "
                  "translated (with ip6tables for IPv6):\n"
                  "  iptables -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
           .loss = Loss::hint});
    } else if (table.empty() || !(line.starts_with("-A ") || line.starts_with(':'))) {
      refuse_line(line, place);
    } else if (line.starts_with("-A ")) {
      ++rules;
      if (table != "nat") continue;
      IptablesRule rule = read_rule(line, place);
      nat.chains[rule.chain].push_back(std::move(rule));
    }
  }
  if (!table.empty())
    throw ImportError({.file = source.name, .line = number}, fmt::format("the table {} has no COMMIT: the file is cut off; write it again "
                                                                         "with iptables-save",
                                                                         escaped(table)));
  if (begin.line == 0) throw ImportError({.file = source.name, .line = 0}, "has no table: run iptables-save, and import what it prints");
  return nat;
}

} // namespace hanat::cli::imports
