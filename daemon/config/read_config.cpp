// Files once, then everything from them.
#include "daemon/config/read_config.hpp"

#include <array>
#include <exception>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include <unistd.h>

#include "daemon/config/fingerprint.hpp"
#include "daemon/config/read_hook.hpp"
#include "daemon/config/reread.hpp"
#include "daemon/util/credentials.hpp"

namespace hanat {
namespace {

/// A service that is the same as before is the one of before.
void share(Config& config, const Config& before) {
  std::unordered_map<std::string_view, const Shared<ServiceConfig>*> known;
  for (const Shared<ServiceConfig>& service : before.services) known.emplace(service->name, &service);
  for (Shared<ServiceConfig>& service : config.services)
    if (const auto same = known.find(service->name); same != known.end() && **same->second == *service) service = *same->second;
}

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

/// Without the group.
ReadConfig read_files(const std::filesystem::path& file, const ReadConfig* before) {
  return without_throwing(file.string(), [&] {
    ReadConfig read;
    read.files = config::read_config_files(file);
    read.content = config_content_hash(read.files);
    const bool has_before = before != nullptr && before->config;
    if (has_before && before->outline)
      if (auto reread = config::reread({.config = *before->config, .files = before->files, .outline = *before->outline}, read.files)) {
        read.config = std::make_shared<const Config>(std::move(reread->config));
        read.outline = std::move(reread->outline);
        return read;
      }
    ConfigResult result = load_config(read.files, read.outline);
    if (auto* config = std::get_if<Config>(&result); config != nullptr && has_before) share(*config, *before->config);
    take(read, std::move(result));
    return read;
  });
}

} // namespace

void check_hooks(ReadConfig& read, const std::string& name) {
  if (!read.config) return;
  const std::array owners{geteuid()};
  for (std::string& error : hook_errors(*read.config, owners))
    read.errors.push_back({.file = name, .line = 0, .column = 0, .message = std::move(error)});
  if (!read.errors.empty()) read.config.reset();
}

ReadConfig read_config(const std::filesystem::path& file, const ReadConfig* before) {
  ReadConfig read = read_files(file, before);
  look_up_group(read);
  return read;
}

ReadConfig read_config_at_start(const std::filesystem::path& file) { return read_files(file, nullptr); }

ReadConfig read_config(const std::vector<ConfigText>& texts) {
  return without_throwing(texts.empty() ? std::string{} : texts.front().name, [&] {
    ReadConfig read;
    take(read, parse_config(texts));
    look_up_group(read);
    return read;
  });
}

} // namespace hanat
