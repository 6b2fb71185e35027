// What was found in the configuration of another system, in hanat's terms: services, their servers and probes, and notes on the lines that
// became nothing. The three parsers make it, one writer prints it.
// Not here: the old formats (keepalived, haproxy, iptables), TOML (write_toml).
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace hanat::cli::imports {

using std::chrono::milliseconds;

struct Place {
  std::string file;
  std::size_t line = 0; // from 1
  auto operator<=>(const Place&) const = default;
};

/// A file that cannot be imported. what() has the place and the remedy.
struct ImportError : std::runtime_error {
  ImportError(const Place& place, const std::string& text);
};

struct SourceText {
  std::string name, text;
};
/// The files that an include names, which may be a pattern, seen from a file. Throws std::runtime_error with the reason.
using Includes = std::function<std::vector<SourceText>(const std::string& pattern, const std::string& from)>;

enum class Loss : std::uint8_t {
  lost,     // marked LOST: the service does less than before, or something else
  hint,     // marked NOTE: it was carried over, and there is something to know
  needless, // hanat needs nothing of the kind, or the old program keeps it
};
struct Note {
  Place place;
  std::string text; // the old line
  std::string why;  // the reason, and what to do instead; each line of it begins a line of its own
  Loss loss = Loss::lost;
  bool operator==(const Note&) const = default;
};

/// first 0: none was given.
struct Ports {
  std::uint16_t first = 0, last = 0;
  std::uint32_t count() const { return last - first + 1U; }
  bool operator==(const Ports&) const = default;
};
struct Listen {
  Address address;
  Protocol protocol = Protocol::tcp;
  Ports ports;
  std::string interface = {}; // on whose addresses of the family; `address` is the unspecified one then
  bool operator==(const Listen&) const = default;
};

struct ProbeKey {
  std::string name, value; // the value as TOML
  bool operator==(const ProbeKey&) const = default;
};
struct ProbeText {
  std::string type = "tcp";
  std::vector<ProbeKey> keys;
  std::optional<milliseconds> interval, fast_interval, down_interval{}, timeout;
  bool operator==(const ProbeText&) const = default;
};

struct Server {
  Place place;
  Address address;
  Ports ports; // none: the listener's
  std::vector<ProbeText> probes;
  std::string snat; // empty: the service's
};

struct Service {
  Place place;
  std::string name;
  std::vector<Listen> listen;
  std::vector<Server> servers; // the primary first
  std::string snat, snat_why;  // empty: "none"; the reason is a comment
  std::optional<unsigned> fails, passes;
  std::vector<Note> notes;
  std::string refused; // why it stands there as a comment alone; empty: it does not
};

struct PairText {
  Place place;
  std::string text; // the old line
  Address address;
  std::string address_text;
  Place address_place;
  bool served = false; // a service listens there
  std::string refused;
};

struct Imported {
  std::string system;         // "keepalived"
  std::vector<PairText> pair; // one at most
  std::vector<Service> services;
  std::vector<Note> notes; // of no service
};

} // namespace hanat::cli::imports
