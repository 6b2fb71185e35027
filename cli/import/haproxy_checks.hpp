// The health checks of haproxy.cfg (option httpchk, tcp-check and the rest) as probes.
// Pure. Not here: how often they run, which is a server's (haproxy_server).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/import/haproxy_sections.hpp"
#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// The lines of a proxy and its default values that say how servers are checked.
class CheckLines {
public:
  /// Whether the line is one. Later ones win.
  bool take(const ConfigLine& line);
  /// The probe of a server, over TLS or not. Adds to `notes` what is lost.
  ProbeText probe(bool tls, std::vector<Note>& notes) const;
  /// "timeout check"
  std::optional<milliseconds> timeout;

private:
  ProbeText http_probe(const ConfigLine& option, bool tls, std::vector<Note>& notes) const;
  ProbeText tcp_probe(bool tls, std::vector<Note>& notes) const;
  void read_http_lines(ProbeText& probe, std::vector<Note>& notes) const;

  std::optional<ConfigLine> option_;   // "option httpchk ..."
  std::vector<ConfigLine> http_, tcp_; // "http-check ...", "tcp-check ..."
};

} // namespace hanat::cli::imports
