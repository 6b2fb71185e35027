// The table `<table>_trace`, which exists only while clients are traced. It has nf_tables report the way of the first packets of these
// clients, and of the replies to them, through the chains of every table; its other chains show by their own reports how far a packet came.
// The table belongs to the socket that made it: it vanishes with the process, and no other program can change it. Its name is not that of
// hanat's table, so the watch of that one does not take it for a change by others. Not here: the reports (trace_reader), who is traced and
// for how long (daemon/doctor/tracer).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>

#include "nat/address.hpp"
#include "nat/netlink.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/transaction.hpp"

namespace hanat::nat {

/// Packets from an address to a virtual endpoint, and the replies.
struct TracedClient {
  Address client;
  Vip vip;
  auto operator<=>(const TracedClient&) const = default;
};

std::string trace_table_of(const std::string& table);

/// The chains of the table, by the moment in a packet's life.
inline constexpr const char* trace_begins = "begins"; // prerouting, after the reassembly of fragments and before all other rules
inline constexpr const char* trace_begins_output = "begins_output"; // output: a client on the gateway
inline constexpr const char* trace_begins_reply = "begins_reply";   // prerouting, when conntrack knows the reply's flow
inline constexpr const char* trace_to_routing = "to_routing";       // the end of prerouting
inline constexpr const char* trace_forwards = "forwards";           // the begin of forward
inline constexpr const char* trace_forwarded = "forwarded";         // the end of forward
inline constexpr const char* trace_delivers = "delivers";           // the begin of input: to a process of the gateway
inline constexpr const char* trace_delivered = "delivered";         // the end of input
inline constexpr const char* trace_leaves = "leaves";               // the end of postrouting

/// An element that nobody removed (a bug) expires.
inline constexpr std::chrono::milliseconds traced_at_most{60'000};

class TraceTable {
public:
  /// `table`: the name of hanat's table. Nothing is loaded before add(). Throws std::system_error.
  explicit TraceTable(const std::string& table);

  const std::string& name() const { return name_; }
  /// Loads the table for the first client. Throws std::system_error; then nothing has changed.
  void add(const TracedClient& client);
  /// Deletes the table with the last client. Throws std::system_error.
  void remove(const TracedClient& client);
  bool is_loaded() const { return !clients_.empty(); }

private:
  void commit(TransactionBuilder& builder, const char* what, const Netlink::OnRefusal& expected = {});

  std::string name_;
  Netlink socket_;                           // the table's owner
  std::map<TracedClient, unsigned> clients_; // how often each was added
};

/// What the table has besides its elements.
Layout make_trace_layout(const std::string& name);

} // namespace hanat::nat
