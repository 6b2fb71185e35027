// Tokens first, then the tree; an include is read where it stands.
#include "cli/import/keepalived_blocks.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/import/values.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli::imports {
namespace {

constexpr std::size_t deepest_block = 32;   // blocks
constexpr std::size_t deepest_include = 16; // more is a circle
constexpr std::size_t most_tokens = 300'000;
constexpr std::size_t most_includes = 1'000;

struct Token {
  Place place;
  std::string text;
  bool quoted = false;
};

/// Letters, digits and _ behind a $, or in ${...}: their value.
class Definitions {
public:
  /// "$NAME=value": whether the line is one.
  bool define(std::string_view line) {
    if (!line.starts_with('$')) return false;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string name{trimmed(line.substr(1, equals - 1))};
    if (name.empty() || !std::ranges::all_of(name, is_name)) return false;
    values_[name] = expanded(trimmed(line.substr(equals + 1)));
    return true;
  }

  std::string expanded(std::string_view text) const {
    constexpr std::size_t longest = 10'000; // definitions may double themselves
    std::string result;
    while (!text.empty() && result.size() < longest) {
      const auto dollar = text.find('$');
      result += text.substr(0, dollar);
      if (dollar == std::string_view::npos) break;
      text.remove_prefix(dollar + 1);
      const bool brace = text.starts_with('{');
      const std::string_view rest = brace ? text.substr(1) : text;
      const auto length = static_cast<std::size_t>(std::ranges::find_if_not(rest, is_name) - rest.begin());
      const auto found = values_.find(std::string{rest.substr(0, length)});
      // Without braces the name must end its word: $NET.1 is no definition for keepalived either.
      const bool closed = brace ? length < rest.size() && rest[length] == '}'
                                : length == rest.size() || rest[length] == ' ' || rest[length] == '\t' || rest[length] == '"';
      if (length == 0 || found == values_.end() || !closed) {
        result += '$';
        continue;
      }
      result += found->second;
      text.remove_prefix(length + (brace ? 2 : 0));
    }
    return result;
  }

private:
  static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }
  std::map<std::string, std::string> values_;
};

class Tokens {
public:
  Tokens(const Includes& includes, std::vector<Note>& notes) : includes_{includes}, notes_{notes} {}

  std::vector<Token> run(const SourceText& source) {
    read(source, 0);
    return std::move(tokens_);
  }

private:
  void read(const SourceText& source, std::size_t depth) {
    check_text(source);
    std::size_t number = 0;
    for (const std::string_view whole : lines_in(source.text)) {
      const Place place{.file = source.name, .line = ++number};
      const std::string_view line = trimmed(whole);
      if (definitions_.define(line)) continue;
      if (line.starts_with('@')) {
        notes_.push_back({place, std::string{line},
                          "it is for some of several machines only, and left out: write what is meant for this one", Loss::lost});
        continue;
      }
      const std::size_t begin = tokens_.size();
      split(definitions_.expanded(line), place);
      if (tokens_.size() > most_tokens) throw ImportError(place, "the file and what it includes have too many words");
      const bool include = tokens_.size() == begin + 2 && tokens_[begin].text.starts_with("include");
      if (!include) continue;
      const std::string pattern = tokens_.back().text;
      tokens_.resize(begin);
      read_include(pattern, source.name, place, depth);
    }
  }

  void read_include(const std::string& pattern, const std::string& from, const Place& place, std::size_t depth) {
    if (depth == deepest_include || ++included_ > most_includes)
      throw ImportError(place, fmt::format("{} is included too often: it probably includes itself", escaped(pattern)));
    std::vector<SourceText> files;
    try {
      files = includes_(pattern, from);
    } catch (const ImportError&) {
      throw;
    } catch (const std::runtime_error& error) {
      throw ImportError(place, fmt::format("{} cannot be read: {}", escaped(pattern), error.what()));
    }
    if (files.empty())
      notes_.push_back({place, fmt::format("include {}", pattern), "there is no such file, and keepalived goes on without it", Loss::hint});
    for (const SourceText& file : files) read(file, depth + 1);
  }

  void split(std::string_view line, const Place& place) {
    std::string current;
    bool quoted = false, was_quoted = false;
    const auto end = [&] {
      if (!current.empty() || was_quoted) tokens_.push_back({.place = place, .text = std::exchange(current, {}), .quoted = was_quoted});
      was_quoted = false;
    };
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
        was_quoted = true;
      } else if (!quoted && (c == '!' || c == '#') && current.empty()) {
        break;
      } else if (!quoted && (c == ' ' || c == '\t')) {
        end();
      } else if (!quoted && (c == '{' || c == '}')) {
        end();
        tokens_.push_back({.place = place, .text = std::string{c}, .quoted = false});
      } else {
        current += c;
      }
    }
    if (quoted) throw ImportError(place, "a quotation mark (\") is not closed: close it; keepalived -t finds it, too");
    end();
  }

  const Includes& includes_;
  std::vector<Note>& notes_;
  Definitions definitions_;
  std::vector<Token> tokens_;
  std::size_t included_ = 0;
};

class Tree {
public:
  explicit Tree(const std::vector<Token>& tokens) : tokens_{tokens} {}

  std::vector<Block> run() {
    std::vector<Block> blocks = read(0, nullptr);
    return blocks;
  }

private:
  bool is(std::string_view brace) const { return at_ < tokens_.size() && !tokens_[at_].quoted && tokens_[at_].text == brace; }

  /// Until the closing brace of `opened`; null: the end of the file.
  std::vector<Block> read(std::size_t depth, const Place* opened) {
    std::vector<Block> blocks;
    while (at_ < tokens_.size()) {
      const Token& token = tokens_[at_];
      if (is("}")) {
        if (opened == nullptr)
          throw ImportError(token.place, "a closing brace without an opening one: remove it; keepalived -t finds it, too");
        return blocks;
      }
      if (is("{")) {
        open(blocks, token.place, depth);
        continue;
      }
      Block block{.place = token.place, .arguments = {}, .children = {}, .braces = false};
      for (; at_ < tokens_.size() && tokens_[at_].place == token.place && !is("{") && !is("}"); ++at_)
        block.arguments.push_back(tokens_[at_].text);
      blocks.push_back(std::move(block));
    }
    if (opened != nullptr)
      throw ImportError(*opened, "the block that begins here is not closed: its } is missing; keepalived -t finds it, too");
    return blocks;
  }

  void open(std::vector<Block>& blocks, const Place& place, std::size_t depth) {
    if (depth == deepest_block) throw ImportError(place, "blocks are nested too deep: a } is probably missing before it");
    ++at_;
    if (blocks.empty() || blocks.back().braces) blocks.push_back({.place = place, .arguments = {}, .children = {}, .braces = false});
    const Place begin = blocks.back().place;
    std::vector<Block> children = read(depth + 1, &begin);
    ++at_; // }
    blocks.back().children = std::move(children);
    blocks.back().braces = true;
  }

  const std::vector<Token>& tokens_;
  std::size_t at_ = 0;
};

} // namespace

const std::string& Block::argument(std::size_t index) const {
  static const std::string none;
  return index < arguments.size() ? arguments[index] : none;
}

const Block* Block::child(std::string_view name) const {
  const auto found = std::ranges::find_if(children, [&](const Block& block) { return block.argument(0) == name; });
  return found == children.end() ? nullptr : &*found;
}

std::string Block::value(std::string_view name) const {
  const Block* const found = child(name);
  return found == nullptr ? std::string{} : found->argument(1);
}

std::string Block::text() const { return fmt::format("{}", fmt::join(arguments, " ")); }

std::vector<Block> read_blocks(const SourceText& source, const Includes& includes, std::vector<Note>& notes) {
  const std::vector<Token> tokens = Tokens{includes, notes}.run(source);
  return Tree{tokens}.run();
}

} // namespace hanat::cli::imports
