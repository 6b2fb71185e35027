// Quotes as in haproxy.cfg: "..." and '...', and a backslash before a single character.
#include "cli/import/haproxy_sections.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/import/values.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli::imports {
namespace {

constexpr std::array section_names{"global",   "defaults",    "frontend",    "backend", "listen",      "peers", "resolvers",
                                   "userlist", "mailers",     "cache",       "program", "http-errors", "ring",  "crt-store",
                                   "fcgi-app", "log-forward", "log-profile", "traces",  "acme"};

char unescaped(char c) {
  switch (c) {
  case 'n': return '\n';
  case 'r': return '\r';
  case 't': return '\t';
  default: return c;
  }
}

/// One line's arguments; a # outside quotes ends them.
class LineSplitter {
public:
  LineSplitter(std::string_view line, const Place& place) : line_{line}, place_{place} {}

  std::vector<std::string> run() {
    for (; at_ < line_.size(); ++at_) {
      const char c = line_[at_];
      if (quote_ == '\'') {
        if (c == '\'')
          quote_ = 0;
        else
          current_ += c;
      } else if (c == '\\' && at_ + 1 < line_.size()) {
        current_ += unescaped(line_[++at_]);
        begun_ = true;
      } else if (c == '"' || (c == '\'' && quote_ == 0)) {
        quote_ = quote_ == 0 ? c : '\0';
        begun_ = true;
      } else if (quote_ == 0 && c == '#') {
        break;
      } else if (quote_ == 0 && (c == ' ' || c == '\t')) {
        end_argument();
      } else {
        current_ += c;
        begun_ = true;
      }
    }
    if (quote_ != 0)
      throw ImportError(place_, fmt::format("a quotation mark ({}) is not closed: close it; haproxy -c -f FILE finds it, too", quote_));
    end_argument();
    return std::move(arguments_);
  }

private:
  void end_argument() {
    if (begun_) arguments_.push_back(std::exchange(current_, {}));
    begun_ = false;
  }

  std::string_view line_;
  const Place& place_;
  std::size_t at_ = 0;
  char quote_ = 0;
  bool begun_ = false;
  std::string current_;
  std::vector<std::string> arguments_;
};

bool has_values(const std::string& name) { return name == "defaults"; }

/// The section of default values that a proxy has: the one it names behind "from", otherwise the last one before it.
std::size_t defaults_of(const ConfigLine& head, const std::vector<Section>& sections, std::size_t last) {
  const auto from = std::ranges::find(head.arguments, "from");
  if (from == head.arguments.end() || from + 1 == head.arguments.end()) return last;
  for (std::size_t index = 0; index < sections.size(); ++index)
    if (has_values(sections[index].head.argument(0)) && sections[index].head.argument(1) == *(from + 1)) return index;
  throw ImportError(head.place,
                    fmt::format("there is no section \"defaults {}\" before it: haproxy -c -f FILE says so, too", escaped(*(from + 1))));
}

} // namespace

const std::string& ConfigLine::argument(std::size_t index) const {
  static const std::string none;
  return index < arguments.size() ? arguments[index] : none;
}

bool ConfigLine::begins_with(std::string_view words) const {
  for (std::size_t index = 0; !words.empty(); ++index) {
    const auto blank = words.find(' ');
    if (argument(index) != words.substr(0, blank)) return false;
    words = blank == std::string_view::npos ? std::string_view{} : words.substr(blank + 1);
  }
  return true;
}

std::vector<Section> read_sections(const SourceText& source) {
  std::vector<Section> sections;
  std::size_t number = 0, last_defaults = no_section;
  for (const std::string_view line : lines_in(source.text)) {
    ConfigLine read{.place = {.file = source.name, .line = ++number}, .text = std::string{trimmed(line)}, .arguments = {}};
    read.arguments = LineSplitter{line, read.place}.run();
    if (read.arguments.empty()) continue;
    const std::string& first = read.arguments.front();
    if (std::ranges::find(section_names, first) != section_names.end()) {
      const std::size_t defaults = defaults_of(read, sections, last_defaults);
      if (has_values(first)) last_defaults = sections.size();
      sections.push_back({.head = std::move(read), .lines = {}, .defaults = defaults});
    } else if (!sections.empty()) {
      sections.back().lines.push_back(std::move(read));
    } else if (!first.starts_with('.')) {
      throw ImportError(read.place, fmt::format("\"{}\" stands in no section, so this is no haproxy.cfg: name HAProxy's configuration",
                                                shortened(escaped(read.text), 60)));
    }
  }
  if (sections.empty())
    throw ImportError({.file = source.name, .line = 0}, "has no section, so there is nothing to import: name HAProxy's configuration");
  return sections;
}

} // namespace hanat::cli::imports
