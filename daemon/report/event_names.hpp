// Servers that are configured by their names and what DNS says of these, and interfaces that services listen on, as values. Not here: all
// other events (event), their sentences (event_text_names), when they are made (daemon/links/name_link, interface_link).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "daemon/report/server_name.hpp"

namespace hanat::events {

/// The name of a server has other addresses than before, or its first ones.
struct NameChanged {
  ServerName server;         // with its first address now; none: no address of the answer can be its own
  std::string name;          // "db1.lan"
  std::string before, after; // all of its addresses; empty: none
  bool has_traffic = false;  // the traffic is at the address of before: it leaves as soon as the new one is up
  bool operator==(const NameChanged&) const = default;
};
/// A name does not resolve, and did until now, or never has.
struct NameFails {
  std::string name, record; // "db1.lan"; "A" or "AAAA"
  std::string error;
  std::string kept;      // the address in use; empty: it never had one
  std::string other;     // that of the other family; empty: none
  bool resolver = false; // it is the resolver that fails: other names may fail, too, and are not told of
  bool operator==(const NameFails&) const = default;
};
/// It does again; of `resolver` the last of the names.
struct NameResolves {
  std::string name, record, address;
  bool resolver = false;
  bool operator==(const NameResolves&) const = default;
};

/// An interface that services listen on has other addresses than before; or it has none, as of a start or a reload.
struct InterfaceChanged {
  std::string interface;  // "eth0"
  std::string come, gone; // addresses, "203.0.113.10, 2001:db8::10"; empty: none
  std::string all;        // that it has now
  std::string absent;     // why a family has none: "there is no interface eth0"; empty: each has one
  std::string services;   // that listen there: "web and 2 other services"
  bool several = false;   // more than one service
  bool operator==(const InterfaceChanged&) const = default;
};
/// An interface that services listen on has just lost addresses, which are held for a moment; or they came back in time.
struct AddressHeld {
  std::string interface, addresses; // "eth0"; "203.0.113.10, 2001:db8::10"
  std::chrono::milliseconds held{}; // for so long
  bool back = false;
  bool operator==(const AddressHeld&) const = default;
};
/// A part of what a service would listen on by an interface is somebody else's.
struct ListenOverlaps {
  std::string listen, interface; // "eth0:443/tcp", "eth0"
  std::string overlap;           // "203.0.113.10:443/tcp is a listener of service mail"
  bool operator==(const ListenOverlaps&) const = default;
};

} // namespace hanat::events
