// Reads the keys of exec probes. Not here: the keys that every probe takes (config_probe).
#include <fmt/format.h>

#include "daemon/config_probe_kinds.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t most_command_words = 64;
constexpr std::size_t longest_command_word = 4'096; // bytes
constexpr std::string_view command_example = "[\"/usr/local/lib/check_web\", \"-q\"]";

/// Whether the word is a string that a program can be given.
bool read_word(TableReader& reader, const toml::node& node, std::vector<std::string>& command) {
  const auto* string = node.as_string();
  if (string == nullptr) {
    reader.wrong_type(node, "command", "a list of strings", command_example);
    return false;
  }
  const std::string& word = string->get();
  if (word.size() > longest_command_word || word.find('\0') != std::string::npos) {
    reader.complain(node, fmt::format("probe.command: an argument has at most {} bytes, none of them zero", grouped(longest_command_word)));
    return false;
  }
  command.push_back(word);
  return true;
}

void read_command(TableReader& reader, const toml::node& node, std::vector<std::string>& command) {
  const auto* list = node.as_array();
  if (list == nullptr) return reader.wrong_type(node, "command", "a list of strings", command_example);
  if (list->empty() || list->size() > most_command_words)
    return reader.complain(node, fmt::format("probe.command has 1 to {} words, not {}: write the program and its arguments, as in {}",
                                             most_command_words, grouped(list->size()), command_example));
  for (const toml::node& word : *list)
    if (!read_word(reader, word, command)) return;
  if (!command.front().starts_with('/'))
    reader.complain(*list->get(0),
                    fmt::format("probe.command runs {}, which is not an absolute path: no shell looks for it; write it like {}",
                                shown(command.front()), command_example));
}

/// The program chooses them itself: ignored, they would promise what does not happen.
void refuse_key(TableReader& reader, std::string_view key) {
  if (const toml::node* node = reader.find(key))
    reader.complain(*node, fmt::format("probe.{0} does not reach the program of an exec probe: remove it, and say it in command", key));
}

} // namespace

void read_exec(TableReader& reader, probes::Spec& spec) {
  auto& exec = spec.edit<probes::ExecSpec>();
  const toml::node* command = reader.find("command");
  if (command != nullptr) read_command(reader, *command, exec.command);
  if (spec.kind != probes::Kind::exec) return;
  if (command == nullptr)
    reader.complain(*reader.find("type"), fmt::format("an exec probe needs a program: write command = {}", command_example));
  refuse_key(reader, "source");
  refuse_key(reader, "interface");
}

} // namespace hanat::config
