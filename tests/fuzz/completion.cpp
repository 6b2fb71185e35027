// Feeds words, divided by zero bytes, to what completes a command line and to what reads one: a shell calls the first at each press of TAB
// with whatever was typed. Not here: the names that hanatd adds.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/completion.hpp"
#include "daemon/util/arguments.hpp"

namespace {

void must(bool condition) {
  if (!condition) std::abort();
}

/// What a shell reads line by line.
void check_lines(const hanat::cli::Completion& completion, std::string_view shell) {
  const std::string lines = completion_lines(shell, completion);
  if (completion.files) return must(lines == ":file\n");
  must(lines.empty() || lines.ends_with('\n'));
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::string_view line = std::string_view{lines}.substr(begin, lines.find('\n', begin) - begin);
    begin += line.size() + 1;
    must(!line.empty() && line.front() != ':');
    must(line.starts_with(completion.before + completion.prefix));
    for (const char c : line.substr(completion.before.size())) must((c >= ' ' && c <= '~') || c == '\t');
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hanat::cli;
  if (size == 0) return 0;
  const std::string_view shell = std::vector<std::string_view>{"bash", "zsh", "fish", "other"}[data[0] % 4];
  std::vector<std::string> words{{}};
  for (std::size_t index = 1; index < size; ++index) {
    if (data[index] == 0)
      words.emplace_back();
    else
      words.back() += static_cast<char>(data[index]);
  }
  check_lines(complete(shell, words), shell);
  const std::vector<std::string_view> arguments(words.begin(), words.end());
  try {
    static_cast<void>(parse_arguments(arguments));
  } catch (const hanat::UsageError& error) { // it names what was typed, for a terminal
    for (const char c : std::string_view{error.what()}) must((c >= ' ' && c <= '~') || c == '\n');
  }
  return 0;
}
