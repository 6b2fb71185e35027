// What must hold for an import of any bytes: it is refused with a place and a remedy, or its output is a configuration that hanat takes.
// Not here: the bytes (import_keepalived, import_haproxy, import_iptables).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cli/import/import.hpp"
#include "cli/import/values.hpp"
#include "daemon/config/load_config.hpp"

namespace hanat::test {

inline void must(bool condition) {
  if (!condition) std::abort();
}

/// Addresses are given for those that the file leaves open where its size is odd, so that a file of the field is as it stands a seed.
inline int check_import(cli::imports::System system, const std::uint8_t* data, std::size_t size) {
  using namespace cli::imports;
  const std::string text{reinterpret_cast<const char*>(data), size};
  Options options;
  if (size % 2 != 0) options.any = {*Address::parse("203.0.113.10"), *Address::parse("2001:db8::10")};
  const Includes includes = [&](const std::string& pattern, const std::string&) -> std::vector<SourceText> {
    if (pattern.starts_with("x")) return {};
    return {{.name = pattern, .text = text.substr(0, text.size() / 2)}};
  };
  try {
    const Outcome outcome = import_text(system, {.name = "fuzz", .text = text}, includes, options);
    for (const char c : outcome.toml) must((c >= ' ' && c <= '~') || c == '\n');
    const auto result = parse_config(outcome.toml, "hanat.toml");
    const auto* const config = std::get_if<Config>(&result);
    must(config != nullptr);
    must(config->services.size() == outcome.counts.services);
    for (const ServiceConfig& service : config->services) must(service.mode == Mode::observe);
    summary(outcome.counts);
    std::size_t marks = 0;
    for (const std::string_view line : lines_in(outcome.toml)) marks += line.starts_with("# LOST: ") ? 1 : 0;
    must(marks == outcome.counts.lost);
  } catch (const ImportError& error) {
    const std::string_view what = error.what();
    for (const char c : what) must(c >= ' ' && c <= '~');
    must(!what.empty());
  }
  return 0;
}

} // namespace hanat::test
