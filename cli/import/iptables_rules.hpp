// One line of iptables-save as a rule: what it matches, and its target; and the chains of the table nat.
// Pure. Not here: what the rules do together (iptables).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// "10.0.0.0/24"
struct Net {
  Address address;
  unsigned length = 0;
  bool is_host() const { return length == address.bytes().size() * 8; }
  bool contains(const Address& other) const;
  bool operator==(const Net&) const = default;
};

struct IptablesRule {
  Place place;
  std::string text;
  std::string chain;
  std::optional<Net> source, destination;
  std::string in, out;      // interfaces
  std::string protocol;     // "tcp"; empty: any
  std::vector<Ports> ports; // of the destination; empty: any
  bool local = false;       // any own address is meant
  bool spread = false;      // by statistic: only a part of the connections
  std::string other;        // the first match that hanat has nothing like; empty: none
  std::string target;       // "DNAT", or a chain
  bool goes_to = false;     // -g
  std::string to;           // --to-destination, --to-source, --to
};

struct IptablesNat {
  std::map<std::string, std::vector<IptablesRule>> chains;
  std::vector<Note> notes; // of other tables
};
/// Throws ImportError for text that is not iptables-save's.
IptablesNat read_iptables(const SourceText& source);

} // namespace hanat::cli::imports
