// Files once, then everything from them.
#include "daemon/config/read_config.hpp"

#include <array>
#include <exception>
#include <utility>
#include <variant>

#include <unistd.h>

#include "daemon/config/fingerprint.hpp"
#include "daemon/config/read_hook.hpp"
#include "daemon/util/credentials.hpp"

namespace hanat {
namespace {

void take(ReadConfig& read, ConfigResult result) {
  if (auto* errors = std::get_if<std::vector<ConfigError>>(&result)) {
    read.errors = std::move(*errors);
    return;
  }
  read.config = std::make_shared<const Config>(std::get<Config>(std::move(result)));
}

void look_up_group(ReadConfig& read) {
  if (!read.config || read.config->operators.empty()) return;
  read.operators = find_group(read.config->operators);
  if (!read.operators) read.operators_error = operators_error(read.config->operators);
}

template <typename Read> ReadConfig without_throwing(const std::string& name, const Read& read) {
  try {
    return read();
  } catch (const std::exception& error) { // no memory
    ReadConfig failed;
    failed.errors.push_back({.file = name, .line = 0, .column = 0, .message = error.what()});
    return failed;
  }
}

} // namespace

void check_hooks(ReadConfig& read, const std::string& name) {
  if (!read.config) return;
  const std::array owners{geteuid()};
  for (std::string& error : hook_errors(*read.config, owners))
    read.errors.push_back({.file = name, .line = 0, .column = 0, .message = std::move(error)});
  if (!read.errors.empty()) read.config.reset();
}

ReadConfig read_config(const std::filesystem::path& file) {
  ReadConfig read = read_config_at_start(file);
  look_up_group(read);
  return read;
}

ReadConfig read_config_at_start(const std::filesystem::path& file) {
  return without_throwing(file.string(), [&] {
    ReadConfig read;
    read.files = config::read_config_files(file);
    read.content = config_content_hash(read.files);
    take(read, load_config(read.files));
    return read;
  });
}

ReadConfig read_config(const std::vector<ConfigText>& texts) {
  return without_throwing(texts.empty() ? std::string{} : texts.front().name, [&] {
    ReadConfig read;
    take(read, parse_config(texts));
    look_up_group(read);
    return read;
  });
}

} // namespace hanat
