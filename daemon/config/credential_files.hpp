// Files with certificates, keys and passwords, read while a configuration is read: a reload reads them again, unless all are as they were
// (reread). Not here: what is in a certificate (probes/kinds/tls_context), the configuration's own files (read_files).
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "daemon/config/config.hpp"
#include "daemon/config/parse_values.hpp"
#include "probes/secret.hpp"

namespace hanat::config {

/// Whether what is in the file is for everybody's eyes.
enum class Privacy : std::uint8_t { is_public, is_secret };

/// A file in PEM format. Never blocks on a fifo.
Parsed<std::string> read_pem(const std::string& path, Privacy privacy);

/// A file that holds a password: its one line, without the line ending. Others must not be able to read it.
Parsed<probes::Secret> read_password(const std::string& path);

/// The paths of those that the configuration was read from.
std::set<std::string> credential_files(const Config& config);

} // namespace hanat::config
