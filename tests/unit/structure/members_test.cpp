// No class has more than 30 members: functions it declares and fields it holds. Deleted and defaulted functions, friends, types and enums
// are none, nor are the members of a class within it, which is counted by itself. Not here: how long they are (size_test).
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/structure/tree.hpp"

namespace hanat::structure {
namespace {

constexpr std::size_t limit = 30;

// A language has as many functions as words: one a rule's expression, one a kind of event. A container has those of the one that it stands
// for. The other two may not grow.
const std::map<std::string, std::size_t> larger = {
    {"RuleWriter", 76}, {"Sentences", 103}, {"RareMap", 36}, {"Daemon", 35}, {"NftTable", 32}};

struct Class {
  std::string name;
  std::size_t members = 0;
  bool operator==(const Class&) const = default;
};

bool is_member(const std::string& declaration) {
  static const std::regex none{
      R"(^\s*$|^\s*(using|typedef|friend|enum|class|struct|union|template\s*<[^>]*>\s*(class|struct)|static_assert)\b|=\s*(delete|default)\s*$)"};
  return !std::regex_search(declaration, none);
}

// Reads declarations: each ends at its semicolon, or at the closing brace of its body.
class ClassFinder {
public:
  explicit ClassFinder(std::string_view code) : code_{code} {}

  std::vector<Class> find() {
    for (const char letter : code_) {
      switch (letter) {
      case '(': ++parentheses_; break;
      case ')': --parentheses_; break;
      case '{': open(); continue;
      case '}': close(); continue;
      case ';':
        if (parentheses_ == 0) end_declaration();
        continue;
      default: break;
      }
      declaration_ += letter;
    }
    return found_;
  }

private:
  struct Block {
    bool class_body = false, scope = false; // otherwise a function's body, a value or an enumeration
    Class counted = {};
    std::string before = {}; // the declaration that the block is part of
  };

  void open() {
    static const std::regex enumeration{R"(\benum\b)"};
    static const std::regex head{R"((?:^|[^<\w])(class|struct|union)\s+(?:\[\[\w+\]\]\s*)?(\w+)\s*(?:final\s*)?(?::[^:].*)?$)"};
    static const std::regex scope{R"(^\s*(inline\s+)?(namespace|extern)\b)"};
    const std::string text = std::exchange(declaration_, {});
    std::smatch match;
    const bool outside = blocks_.empty() || blocks_.back().scope || blocks_.back().class_body;
    if (outside && parentheses_ == 0 && text.find('(') == std::string::npos && !std::regex_search(text, enumeration) &&
        std::regex_search(text, match, head))
      blocks_.push_back({.class_body = true, .counted = {.name = match[2]}, .before = text});
    else
      blocks_.push_back({.scope = outside && std::regex_search(text, scope), .before = text});
  }

  void close() {
    if (blocks_.empty()) return;
    const Block block = blocks_.back();
    blocks_.pop_back();
    if (block.class_body) found_.push_back(block.counted);
    declaration_.clear();
    if (block.class_body || block.scope) return;
    // A function's body ends its declaration; a value's closing brace does not, its semicolon does.
    declaration_ = block.before;
    static const std::regex function{R"(\)\s*(const)?\s*(noexcept)?\s*(override)?\s*(try)?\s*$|\)\s*:[^:])"};
    if (parentheses_ == 0 && std::regex_search(block.before, function)) end_declaration();
  }

  void end_declaration() {
    static const std::regex access{R"(\b(public|protected|private)\s*:)"};
    const std::string declaration = std::regex_replace(std::exchange(declaration_, {}), access, "");
    if (!blocks_.empty() && blocks_.back().class_body && is_member(declaration)) blocks_.back().counted.members += names_in(declaration);
  }

  /// `int a, b;` are two fields.
  static std::size_t names_in(const std::string& declaration) {
    if (declaration.find('(') != std::string::npos) return 1;
    std::size_t depth = 0, names = 1;
    for (const char letter : declaration) {
      if (letter == '<') ++depth;
      if (letter == '>') --depth;
      if (letter == ',' && depth == 0) ++names;
    }
    return names;
  }

  std::string_view code_;
  std::string declaration_;
  std::vector<Block> blocks_;
  std::vector<Class> found_;
  int parentheses_ = 0;
};

TEST(Members, AreCounted) {
  const std::string code = R"(
namespace one {
class Plain : public Base<int> {
public:
  Plain(int a, std::function<void()> b = {}) : a_{a} {}
  ~Plain() = default;
  Plain(const Plain&) = delete;
  using Done = std::function<void(int, int)>;
  enum class Kind { first, second };
  int get() const { if (a_) { return 1; } return a_; }
  void set(int a);
private:
  struct Part {
    int x, y;
    bool operator==(const Part&) const = default;
  };
  std::map<int, int> map_{{1, 2}};
  Part part_ = {.x = 1, .y = 2};
  int a_ = 0;
};
struct Pair { int first = 0, second = 0; };
void function() { struct Local { int x; }; }
} // namespace one
)";
  EXPECT_THAT(ClassFinder{code_of(code)}.find(), testing::ElementsAre(Class{"Part", 2}, Class{"Plain", 6}, Class{"Pair", 2}));
}

TEST(Members, AreAtMostThirtyInEveryClass) {
  std::vector<std::string> large;
  for (const TextFile& file : read_tree({"cli", "daemon", "nat", "probes", "tests"}, {".hpp", ".cpp"}))
    for (const Class& found : ClassFinder{code_of(file.text)}.find())
      if (const auto allowed = larger.find(found.name); found.members > (allowed == larger.end() ? limit : allowed->second))
        large.push_back(fmt::format("{}: {} has {} members", file.path, found.name, found.members));
  EXPECT_THAT(large, testing::IsEmpty()) << "a class with that many jobs is two classes";
}

} // namespace
} // namespace hanat::structure
