// Values as the old systems write them, and as TOML has them. Pure.
// Not here: what they mean (keepalived, haproxy, iptables).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// A whole number with nothing beside it.
std::optional<std::uint64_t> whole_number(std::string_view text, std::uint64_t most);
/// "443", or with `range` between them "5000-5100" and "5000:5100". 0 is no port.
std::optional<Ports> ports_of(std::string_view text, char range);
/// Whether a service may listen there, or a server be there.
bool is_usable(const Address& address);

/// Printable ASCII, and the usual blanks: a TOML string may hold it.
bool is_plain(std::string_view text);
std::string toml_string(std::string_view text);
std::string toml_list(const std::vector<std::string>& texts);

/// A name that hanat.toml takes, as near to `text` as possible.
std::string service_name(std::string_view text);

/// "seconds", with or without a fraction.
std::optional<milliseconds> seconds_of(std::string_view text);

std::vector<std::string_view> lines_in(std::string_view text);
std::string_view trimmed(std::string_view text);
/// Throws ImportError for what is no text at all.
void check_text(const SourceText& source);

} // namespace hanat::cli::imports
