// No file is longer than 400 lines, and no function longer than 60, from its opening brace to its closing one; the body of a test is a
// function. Counts braces in code without comments and literals. Not here: what is in them.
#include <cctype>
#include <regex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/structure/tree.hpp"

namespace hanat::structure {
namespace {

constexpr std::size_t file_limit = 400;
constexpr std::size_t function_limit = 60;

struct Function {
  std::string name; // the end of what stands before its body
  std::size_t line, length;
  bool operator==(const Function&) const = default;
};

// Finds the functions of one file: blocks with a parameter list, outside of other functions.
class FunctionFinder {
public:
  explicit FunctionFinder(std::string_view code) : code_{code} {}

  std::vector<Function> find() {
    for (; at_ < code_.size(); ++at_) {
      switch (code_[at_]) {
      case '\n': ++line_; break;
      case '(': ++parentheses_; break;
      case ')': --parentheses_; break;
      case ';':
        if (parentheses_ == 0) head_ = at_ + 1;
        break;
      case '{': open(); break;
      case '}': close(); break;
      default: break;
      }
    }
    return functions_;
  }

private:
  struct Block {
    bool function = false, value = false; // otherwise a namespace, a class, an enumeration
    std::size_t line = 0;
    std::string head = {};
  };

  // A block inside parentheses is a value or a lambda of an argument; one before `,` or `{` initialises a member.
  void open() {
    const bool inside = !blocks_.empty() && (blocks_.back().function || blocks_.back().value);
    std::string head{code_.substr(head_, at_ - head_)};
    static const std::regex scope{R"(^\s*(template\s*<.*>\s*)?(inline\s+)?(namespace|class|struct|union|enum|extern)\b)"};
    if (inside || parentheses_ > 0)
      blocks_.push_back({.value = true});
    else if (std::regex_search(head, scope) && head.find(')') == std::string::npos)
      blocks_.push_back({});
    else if (head.find(')') == std::string::npos || initialises_a_member())
      blocks_.push_back({.value = true});
    else
      blocks_.push_back({.function = true, .line = line_, .head = std::move(head)});
    if (!blocks_.back().value && !inside) head_ = at_ + 1;
  }

  void close() {
    if (blocks_.empty()) return;
    const Block block = blocks_.back();
    blocks_.pop_back();
    if (block.function) functions_.push_back({.name = name_in(block.head), .line = block.line, .length = line_ - block.line + 1});
    if (!block.value) head_ = at_ + 1;
  }

  bool initialises_a_member() const {
    std::size_t end = at_ + 1;
    for (int depth = 1; end < code_.size() && depth > 0; ++end) depth += code_[end] == '{' ? 1 : code_[end] == '}' ? -1 : 0;
    while (end < code_.size() && std::isspace(static_cast<unsigned char>(code_[end])) != 0) ++end;
    return end < code_.size() && (code_[end] == ',' || code_[end] == '{');
  }

  static std::string name_in(const std::string& head) {
    const std::string before = head.substr(0, head.find('('));
    const std::size_t begin = before.find_last_of(" \n\t*&");
    std::string name = begin == std::string::npos ? before : before.substr(begin + 1);
    if (name.starts_with("TEST")) name = head.substr(head.find("TEST"), head.find(')') - head.find("TEST") + 1);
    return name;
  }

  std::string_view code_;
  std::size_t at_ = 0, line_ = 1, head_ = 0;
  int parentheses_ = 0;
  std::vector<Block> blocks_;
  std::vector<Function> functions_;
};

std::vector<Function> functions_of(std::string_view text) {
  const std::string code = code_of(text);
  return FunctionFinder{code}.find();
}

TEST(Size, NoFileIsLongerThan400Lines) {
  for (const TextFile& file : read_tree({"nat", "probes", "daemon", "cli", "tests", "packaging"}, {".cpp", ".hpp", ".sh", ".py"}))
    EXPECT_LE(lines_of(file.text).size(), file_limit) << file.path;
}

TEST(Size, NoFunctionIsLongerThan60Lines) {
  std::size_t count = 0;
  for (const TextFile& file : read_tree({"nat", "probes", "daemon", "cli", "tests"}, {".cpp", ".hpp"}))
    for (const Function& function : functions_of(file.text)) {
      ++count;
      EXPECT_LE(function.length, function_limit) << file.path << ":" << function.line << ": " << function.name;
    }
  EXPECT_GT(count, 1000U) << "the functions were not found";
}

TEST(SizeChecks, FindFunctionsOfEveryForm) {
  const char* const text = R"(
namespace a {
enum class E : int { one, two };
constexpr int table[] = {1, 2, 3};
struct S {
  S(int x) : a_{x}, b_{x} {
    if (x > 0) { call({1, 2}); }
  }
  int f() const { return a_; } // a brace in a comment: {
  int a_ = {}, b_{};
};
void g(std::vector<int> list = {}) {
  const char* text = "}";
  const char brace = '{';
  auto h = [](int x) { return x; };
  for (int i = 0; i < 1'000; ++i) {
  }
}
#define MACRO(x) { x
}
TEST(Name, OfATest) {
}
)";
  EXPECT_THAT(functions_of(text),
              testing::ElementsAre(Function{"S", 6, 3}, Function{"f", 9, 1}, Function{"g", 12, 7}, Function{"TEST(Name, OfATest)", 21, 2}));
}

} // namespace
} // namespace hanat::structure
