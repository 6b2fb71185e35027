// The only effects of an import: it opens the file, and those that it includes.
#include "cli/import_command.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <glob.h>
#include <nlohmann/json.hpp>

#include "cli/import/import.hpp"
#include "cli/remedy.hpp"
#include "cli/requests.hpp"
#include "cli/screen.hpp"
#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t largest_file = std::size_t{16} << 20;

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) static_cast<void>(std::fclose(file));
  }
};

/// Throws std::runtime_error with the reason.
std::string read_whole(const std::string& name) {
  const std::unique_ptr<std::FILE, CloseFile> file{name == "-" ? stdin : std::fopen(name.c_str(), "re")};
  if (!file) throw std::runtime_error(std::strerror(errno));
  std::string text;
  std::array<char, 65'536> buffer{};
  while (std::feof(file.get()) == 0 && std::ferror(file.get()) == 0) {
    text.append(buffer.data(), std::fread(buffer.data(), 1, buffer.size(), file.get()));
    if (text.size() > largest_file) throw std::runtime_error("it has more than 16 MiB, which no configuration has");
  }
  if (std::ferror(file.get()) != 0) throw std::runtime_error(std::strerror(errno));
  return text;
}

std::vector<imports::SourceText> read_includes(const std::string& pattern, const std::string& from) {
  const std::filesystem::path path{pattern};
  const std::string whole = path.is_absolute() ? pattern : (std::filesystem::path{from}.parent_path() / path).string();
  glob_t found{};
  const std::unique_ptr<glob_t, decltype(&globfree)> release{&found, globfree};
  std::vector<imports::SourceText> files;
  if (glob(whole.c_str(), 0, nullptr, &found) != 0) return files;
  for (std::size_t index = 0; index < found.gl_pathc; ++index) {
    std::string name = found.gl_pathv[index];
    std::string text = read_whole(name);
    files.push_back({.name = std::move(name), .text = std::move(text)});
  }
  return files;
}

imports::System system_of(const std::string& name) {
  if (name == "keepalived") return imports::System::keepalived;
  if (name == "haproxy") return imports::System::haproxy;
  return imports::System::iptables;
}

imports::SourceText read_source(const Invocation& invocation) {
  try {
    return {.name = invocation.file == "-" ? "stdin" : invocation.file, .text = read_whole(invocation.file)};
  } catch (const std::runtime_error& error) {
    throw UsageError(fmt::format("{} cannot be read: {}; name the configuration of {}, or - for standard input", escaped(invocation.file),
                                 error.what(), invocation.operand));
  }
}

} // namespace

Exit run_import(const Invocation& invocation) {
  imports::Options options;
  for (const std::string& text : invocation.addresses)
    if (const auto address = Address::parse(text)) options.any.push_back(*address);
  const imports::SourceText source = read_source(invocation);
  imports::Outcome outcome;
  try {
    outcome = imports::import_text(system_of(invocation.operand), source, read_includes, options);
  } catch (const imports::ImportError& error) {
    throw UsageError(error.what());
  }
  const imports::Counts& counts = outcome.counts;
  const Exit status = counts.lost == 0 ? Exit::done : Exit::refused;
  const std::string text = imports::summary(counts);
  fmt::print(stderr, "{}\n", wrapped_message("hanatctl: " + text, error_width()));
  if (!invocation.json) return print(outcome.toml, status);
  return print_json({{"toml", outcome.toml},
                     {"services", counts.services},
                     {"services_as_comments", counts.refused},
                     {"lost_lines", counts.lost},
                     {"needless_lines", counts.needless}},
                    status);
}

} // namespace hanat::cli
