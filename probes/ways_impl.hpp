// What the ways' files share: their state, and what waits to be done. Not here: the face (ways.hpp).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>

#include "probes/loop.hpp"
#include "probes/ways.hpp"

namespace hanat::probes {

struct Ways::Impl {
  using Idle = std::unique_ptr<uv_idle_t, CloseHandle>;

  struct Entry {
    Way way;
    unsigned users = 0;
    std::optional<Route> route = std::nullopt; // nullopt: not known yet
    Hop hop = {};                              // the last one there was
    bool stale = false;                        // the kernel has to be asked again: it is queued
    std::uint64_t round = 0;                   // in which it was asked
    bool removal = false;                      // because something was taken away
    std::uint8_t waiting = 0;                  // kinds of signals that wait to be told, a bit each
  };

  using ByHop = std::set<std::tuple<unsigned, Address, Entry*>>; // interface, next, and who goes there

  /// Something that concerns all ways by one interface, or by one hop on it: told in slices too.
  struct Walk {
    ByHop::key_type at; // where it goes on
    std::optional<Address> next = std::nullopt;
    std::optional<SignalKind> kind = std::nullopt; // for those that have a route
    std::string detail = {};
    bool look = false, removal = false; // ask the kernel again

    bool covers(const ByHop::key_type& other) const {
      return std::get<0>(other) == std::get<0>(at) && (!next || std::get<1>(other) == *next);
    }
  };

  struct Waiting {
    Way way;
    SignalKind kind;
    std::string detail;
  };

  Impl(uv_loop_t* loop, OnSignal function, Options options);

  // ---- what a read brings
  void on_readable();
  void take(Link link);
  void take(const RouteChange& change);
  void take(const AddressChange& change);
  void take(const NeighbourFailed& change) { failed.insert(change.hop); }
  void take(const RulesChange&) { look_at_all(); }
  void finish_read();
  void look_at_addresses();
  void lost_changes();

  // ---- who is concerned
  bool is_used(unsigned interface) const;
  void step(Walk& walk);
  void make_stale(Entry& entry, bool removal);
  bool is_stale(const Entry& entry) const { return entry.stale || entry.round != round; }
  void look_at_all(bool removal = false);
  void start_round();

  // ---- what the kernel answers
  void ask(std::span<Entry* const> entries);
  Route without_lost_source(const Way& way, const Route& route);
  void move(Entry& entry, const Hop& hop);
  void apply(Entry& entry, const Route& answer);
  void know_link(unsigned interface);
  void set_link(Link link);
  const Link* link_of(const Entry& entry) const;

  // ---- slices
  void signal(Entry& entry, SignalKind kind, const std::string& detail);
  void wake();
  void work();
  void tell();
  bool ask_some();

  OnSignal on_signal;
  RouteSocket socket;
  Counts counts;
  std::map<Way, Entry> entries; // by address: a prefix is a range
  ByHop by_hop;
  std::unordered_map<unsigned, Link> links;
  std::set<unsigned> unsure; // links that may have changed unheard
  std::set<Address> gone;    // addresses of ours that were deleted
  std::deque<Way> stale;
  std::uint64_t round = 0;     // all are asked again, and are stale until they were
  std::optional<Way> in_round; // where it goes on; nullopt: it is over
  bool removal_in_round = false, removal_in_next = false;
  std::deque<Walk> walks;
  std::deque<Waiting> waiting;
  // of one read
  std::set<Hop> failed;
  std::set<Address> touched;
  std::map<unsigned, bool> interfaces; // whose addresses changed, and whether one went
  std::set<RouteChange> seen;
  std::size_t looked_at = 0;
  Clock::time_point last_round{};
  bool all_blocked = false;
  std::optional<Clock::time_point> all_looked_at{};
  Timer next_round;
  Idle idle;
  Poll poll; // after the socket, and so closed before it
};

} // namespace hanat::probes
