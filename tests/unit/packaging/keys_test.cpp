// docs/keys.md is what the parser accepts: every key, no other one, each default, each end of a range and what is beyond it.
// Not here: what a key does (its own tests).
#include <algorithm>
#include <charconv>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "tests/unit/structure/tree.hpp"

namespace hanat::documents {
namespace {

/// A key as the page has it.
struct KeyRow {
  std::string table;            // "[hanatd]", "down", "probe", "probe http"
  std::string key;              // without backticks
  std::string fallback, values; // the default, and what else is possible, as cells
};

std::vector<std::string> code_in(const std::string& cell) {
  static const std::regex code{"`([^`]+)`"};
  std::vector<std::string> found;
  for (std::sregex_iterator it(cell.begin(), cell.end(), code), end; it != end; ++it) found.push_back((*it)[1]);
  return found;
}

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  for (std::size_t begin = 2; begin < line.size();) {
    const std::size_t end = std::min(line.find('|', begin), line.size());
    std::string cell{line.substr(begin, end - begin)};
    while (cell.ends_with(' ')) cell.pop_back();
    cell.erase(0, cell.find_first_not_of(' '));
    cells.push_back(cell);
    begin = end + 1;
  }
  return cells;
}

/// The rows of one line of the page: several where a row is about several types.
void add_rows(const std::string& heading, std::string_view line, std::vector<KeyRow>& rows) {
  const std::vector<std::string> cells = cells_of(line);
  const bool by_type = heading == "Probes" && cells.size() == 5;
  const std::vector<std::string> first = code_in(cells.front());
  if (first.empty()) return; // the head of a table
  if (by_type)
    for (const std::string& type : first)
      rows.push_back(
          {.table = "probe " + type, .key = cells[2].empty() ? "" : code_in(cells[2]).front(), .fallback = cells[3], .values = cells[4]});
  else if (heading == "down, up, failback")
    rows.push_back({.table = first.front(), .key = code_in(cells[1]).front(), .fallback = cells[2], .values = cells[3]});
  else
    rows.push_back({.table = heading == "Probes" ? "probe" : heading, .key = first.front(), .fallback = cells[1], .values = cells[2]});
}

std::vector<KeyRow> page_rows() {
  const std::string text = structure::read_text("docs/keys.md");
  std::vector<KeyRow> rows;
  std::string heading;
  for (const std::string_view line : structure::lines_of(text)) {
    if (line.starts_with("#")) heading = line.substr(line.find_first_not_of("# "));
    if (line.starts_with("| ")) add_rows(heading, line, rows);
  }
  return rows;
}

/// What another key needs beside itself.
std::string needs(const std::string& table, const std::string& key) {
  static const std::map<std::string, std::string> needed{{"probe tcp send", "expect = \"x\""},
                                                         {"probe tcp send_hex", "expect = \"x\""},
                                                         {"probe grpc verify", "tls = true"},
                                                         {"probe postgres writable", "user = \"u\""},
                                                         {"probe postgres in_recovery", "user = \"u\""},
                                                         {"probe postgres max_lag", "user = \"u\""},
                                                         {"probe mysql writable", "user = \"u\""},
                                                         {"probe mysql wsrep_ready", "user = \"u\""},
                                                         {"probe mysql member_state", "user = \"u\""},
                                                         {"probe http request_body", "method = \"POST\""},
                                                         {"probe https request_body", "method = \"POST\""},
                                                         {"probe critical", "slow = \"100ms\""},
                                                         {"probe fast_interval", "interval = \"1d\""},
                                                         {"probe dns answer", "name = \"www.example.com\""},
                                                         {"probe dns record", "name = \"www.example.com\""}};
  const auto found = needed.find(table + " " + key);
  if (found != needed.end()) return found->second;
  if (table == "probe agent") return "port = 9777";
  if (table == "probe udp" && !key.starts_with("send")) return "send = \"x\"";
  if (table == "probe exec" && key != "command") return "command = [\"/bin/true\"]";
  return {};
}

std::string inline_table(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines)
    if (!line.empty()) text += (text.empty() ? "" : ", ") + line;
  return "{ " + text + " }\n";
}

/// A configuration that is complete but for `line` in `table`.
std::string configuration(const std::string& table, const std::string& key, const std::string& line) {
  const auto unless = [&](std::string_view other, std::string_view text) {
    return key == other ? std::string{} : std::string{text} + "\n";
  };
  const std::string listen = "listen = [\"203.0.113.10:443/tcp\", \"203.0.113.10:443/udp\"]", primary = "primary = \"10.0.0.11:8443\"";
  const std::string service = "[service.a]\n" + listen + "\n" + primary + "\n";
  if (table == "[hanatd]") return "[hanatd]\n" + line + "\n";
  if (table == "[pair]") {
    const std::string link = key == "insecure_peer" ? "peer = \"198.18.9.2:9718\"\nlisten = \"198.18.9.1:9718\"\n" : "";
    return "[pair]\n" + unless("address", "address = \"203.0.113.10\"") + link + line + "\n";
  }
  if (table == "[service.NAME]" && key == "listen") // ranges, too
    return "[service.a]\nprimary = \"10.0.0.11\"\nprobe = { type = \"icmp\" }\n" + line + "\n";
  if (table == "[service.NAME]") return "[service.a]\n" + listen + "\n" + unless("primary", primary) + line + "\n";
  if (table == "[group.NAME]")
    return service + "[service.b]\nlisten = \"203.0.113.10:80/tcp\"\n" + primary + "\n[group.g]\n" +
           unless("services", "services = [\"a\", \"b\"]") + line + "\n";
  if (table == "primary and backup as tables") {
    const std::string address = key.starts_with("address") ? "" : "address = \"10.0.0.11:8443\"";
    return "[service.a]\n" + listen + "\nprimary = " + inline_table({address, line});
  }
  if (table == "tls") return service + "probe = { type = \"redis\", tls = { " + line + " } }\n";
  if (!table.starts_with("probe")) return service + table + " = " + inline_table({line});
  const std::string type = table == "probe" ? "tcp" : table.substr(table.find(' ') + 1);
  const std::string probe = inline_table({fmt::format("type = \"{}\"", type), line, needs(table, key)});
  return service + (key == "critical" ? "probe = [{ type = \"icmp\" }, " + probe + "]\n" : "probe = " + probe); // not all may only warn
}

std::string errors_of(const std::string& text) {
  const auto result = parse_config(text, "f");
  const auto* errors = std::get_if<std::vector<ConfigError>>(&result);
  std::string lines;
  if (errors != nullptr)
    for (const ConfigError& error : *errors) lines += to_text(error) + "\n";
  return lines;
}

bool out_of_range(const std::string& text) {
  const std::string errors = errors_of(text);
  return std::ranges::any_of(std::vector<std::string>{"the maximum", "the minimum", "out of range", "is not a time"},
                             [&](const std::string& words) { return errors.find(words) != std::string::npos; });
}

/// The value by one unit more or less: "1d" -> "2d"; empty: there is none.
std::string beside(const std::string& value, int step) {
  const bool quoted = value.starts_with('"');
  const std::string inner = quoted ? value.substr(1, value.size() - 2) : value;
  int number = 0;
  const auto [end, code] = std::from_chars(inner.data(), inner.data() + inner.size(), number);
  if (code != std::errc{} || number + step < 0) return {};
  const std::string next = std::to_string(number + step) + std::string(end, inner.data() + inner.size());
  return quoted ? '"' + next + '"' : next;
}

TEST(Keys, ThePageHasEveryKeyOfTheParserAndNoOther) {
  const std::vector<KeyRow> rows = page_rows();
  ASSERT_GT(rows.size(), 90U);
  std::map<std::string, std::set<std::string>> keys;
  for (const KeyRow& row : rows) {
    keys[row.table].insert(row.key);
    keys[row.table].erase("");
  }
  for (const auto& [table, own] : keys) {
    if (table == "probe") continue; // with each type
    std::set<std::string> listed = own, known;
    if (table.starts_with("probe ")) listed.insert(keys["probe"].begin(), keys["probe"].end());
    const std::string nonsense = "qqqqqqqqqqqqqqqq";
    const std::string errors = errors_of(configuration(table, nonsense, nonsense + " = 1"));
    const std::size_t begin = errors.find("use one of ");
    ASSERT_NE(begin, std::string::npos) << table << ": " << errors;
    static const std::regex word{"[a-z_]+"};
    const std::string list = errors.substr(begin + 11, errors.find('\n', begin) - begin - 11);
    for (std::sregex_iterator it(list.begin(), list.end(), word), end; it != end; ++it) known.insert(it->str());
    EXPECT_EQ(listed, known) << table;
  }
}

TEST(Keys, TheDefaultsOfThePageChangeNothing) {
  const std::set<std::string> same_in_other_words{"status", "user", "record", "hello"}; // the parser keeps that nothing was written
  for (const KeyRow& row : page_rows()) {
    const std::vector<std::string> value = code_in(row.fallback);
    if (value.empty()) continue;
    const auto without = parse_config(configuration(row.table, row.key, ""), "f");
    const std::string text = configuration(row.table, row.key, row.key + " = " + value.front());
    const auto with = parse_config(text, "f");
    ASSERT_TRUE(std::holds_alternative<Config>(with)) << text << errors_of(text);
    if (same_in_other_words.contains(row.key)) continue;
    ASSERT_TRUE(std::holds_alternative<Config>(without)) << errors_of(configuration(row.table, row.key, ""));
    EXPECT_EQ(std::get<Config>(with), std::get<Config>(without)) << text;
  }
}

TEST(Keys, TheValuesOfThePageAreAcceptedAndWhatIsBeyondIsNot) {
  static const std::regex range{"`([^`]+)` to `([^`]+)`"};
  for (const KeyRow& row : page_rows()) {
    const auto text_with = [&](const std::string& value) { return configuration(row.table, row.key, row.key + " = " + value); };
    std::string rest = row.values;
    std::smatch ends;
    if (std::regex_search(row.values, ends, range)) {
      rest = ends.prefix();
      EXPECT_FALSE(out_of_range(text_with(ends[1]))) << row.table << row.key << ends[1];
      EXPECT_FALSE(out_of_range(text_with(ends[2]))) << row.table << row.key << ends[2];
      EXPECT_TRUE(out_of_range(text_with(beside(ends[2], 1)))) << row.table << row.key << ends[2];
      if (const std::string less = beside(ends[1], -1); !less.empty()) {
        EXPECT_TRUE(out_of_range(text_with(less))) << row.table << row.key << less;
      }
    }
    for (const std::string& value : code_in(rest)) EXPECT_EQ(errors_of(text_with(value)), "") << text_with(value);
  }
}

} // namespace
} // namespace hanat::documents
