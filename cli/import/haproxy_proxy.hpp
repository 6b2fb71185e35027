// One section of haproxy.cfg with its default values: what of it concerns hanat, and what becomes of every other line.
// Pure. Not here: how sections belong together (haproxy).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/import/haproxy_checks.hpp"
#include "cli/import/haproxy_sections.hpp"
#include "cli/import/haproxy_server.hpp"
#include "cli/import/model.hpp"

namespace hanat::cli::imports {

struct Proxy {
  ConfigLine head;
  std::string kind, name; // "frontend", "web"
  bool http = false;
  std::vector<ConfigLine> binds, servers, default_servers;
  std::optional<ConfigLine> mode, default_backend, transparent_source;
  CheckLines checks;
  std::vector<Note> notes;
  bool used = false; // by a frontend
};
Proxy read_proxy(const Section& section, const std::vector<Section>& sections);

} // namespace hanat::cli::imports
