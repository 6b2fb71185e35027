// A list of strings, checked.
#include "daemon/config/command.hpp"

#include <fmt/format.h>

namespace hanat::config {
namespace {

constexpr std::size_t most_arguments = 64;
constexpr std::size_t longest_argument = 4'096; // bytes

} // namespace

std::vector<std::string> read_command(TableReader& reader, const toml::node& node, std::string_view key, std::string_view example) {
  const auto* list = node.as_array();
  std::vector<std::string> command;
  if (list == nullptr) {
    reader.wrong_type(node, key, "a list of strings", example);
    return command;
  }
  if (list->empty() || list->size() > most_arguments) {
    reader.report_error(node, fmt::format("{} must have 1 to {} entries, not {}: write the program and its arguments, as in {}",
                                          reader.name(key), most_arguments, grouped(list->size()), example));
    return command;
  }
  for (const toml::node& argument : *list) {
    const auto* string = argument.as_string();
    if (string == nullptr) {
      reader.wrong_type(argument, key, "a list of strings", example);
      return command;
    }
    if (string->get().size() > longest_argument || string->get().find('\0') != std::string::npos) {
      reader.report_error(argument,
                          fmt::format("{}: an argument has at most {} bytes and no NUL byte", reader.name(key), grouped(longest_argument)));
      return command;
    }
    command.push_back(string->get());
  }
  if (!command.front().starts_with('/'))
    reader.report_error(*list->get(0), fmt::format("{} runs {}, which is not an absolute path: PATH is not searched; write it like {}",
                                                   reader.name(key), shown(command.front()), example));
  return command;
}

} // namespace hanat::config
