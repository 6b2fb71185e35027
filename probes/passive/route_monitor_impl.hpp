// State shared by the files of RouteMonitor. Not here: the public interface (route_monitor.hpp).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>

#include "probes/io/uv.hpp"
#include "probes/passive/client_side.hpp"
#include "probes/passive/route_monitor.hpp"

namespace hanat::probes {

struct RouteMonitor::Impl {
  using Idle = UvHandle<uv_idle_t>;

  struct Entry {
    Path path;
    unsigned users = 0;
    std::optional<Route> route = std::nullopt; // nullopt: not looked up yet
    Hop hop = {};                              // the last known one
    bool stale = false;                        // queued for a lookup
    std::uint64_t round = 0;                   // of its last lookup
    bool removal = false;                      // stale because something was removed
    std::uint8_t waiting = 0;                  // queued kinds of event, a bit each
  };

  using ByHop = std::set<std::tuple<unsigned, Address, Entry*>>; // interface, next hop, and the path that uses it

  /// Something that affects all paths through one interface, or through one next hop on it; handled in slices.
  struct Scan {
    ByHop::key_type position; // where it continues
    std::optional<Address> next = std::nullopt;
    std::optional<KernelEventKind> kind = std::nullopt; // for paths that have a route
    std::string detail = {};
    bool refresh = false, removal = false; // look up again

    bool covers(const ByHop::key_type& other) const {
      return std::get<0>(other) == std::get<0>(position) && (!next || std::get<1>(other) == *next);
    }
  };

  struct Waiting {
    Path path;
    KernelEventKind kind;
    std::string detail;
  };

  Impl(uv_loop_t* loop, OnKernelEvent function, Options options);

  // ---- reading changes
  void on_readable();
  void take(Link link);
  void take(const RouteChange& change);
  void take(const AddressChange& change);
  void take(const NeighbourFailed& change) { failed.insert(change.hop); }
  void take(const RulesChange&) { refresh_all(); }
  void finish_read();
  void refresh_addresses();
  void lost_changes();

  // ---- affected paths
  bool is_used(unsigned interface) const;
  void step(Scan& scan);
  void make_stale(Entry& entry, bool removal);
  bool is_stale(const Entry& entry) const { return entry.stale || entry.round != round; }
  void refresh_all(bool removal = false);
  void start_round();

  // ---- lookups
  void look_up(std::span<Entry* const> batch);
  Route without_lost_source(const Path& path, const Route& route);
  void move(Entry& entry, const Hop& hop);
  void apply(Entry& entry, const Route& reply);
  void learn_link(unsigned interface);
  void set_link(Link link);
  void learn_surroundings();
  void learn_default();
  std::set<unsigned> server_links() const;
  const Link* link_of(const Entry& entry) const;

  // ---- slices
  void queue_event(Entry& entry, KernelEventKind kind, const std::string& detail);
  void wake();
  void work();
  void deliver();
  bool look_up_some();

  OnKernelEvent on_event;
  RouteSocket socket;
  Counts counts;
  std::map<Path, Entry> entries; // by address: a prefix is a range
  ByHop by_hop;
  std::unordered_map<unsigned, Link> links;
  std::set<unsigned> unsure; // links whose changes may have been lost
  std::set<Address> gone;    // deleted local addresses
  std::deque<Path> stale;
  std::uint64_t round = 0;           // of refreshing all: entries of an older round are stale
  std::optional<Path> next_in_round; // where it continues; nullopt: complete
  bool removal_in_round = false, removal_in_next = false;
  std::deque<Scan> scans;
  std::deque<Waiting> waiting;
  // of one read
  std::set<Hop> failed;
  std::set<Address> touched;
  std::map<unsigned, bool> interfaces; // whose addresses changed; true: one was deleted
  std::set<RouteChange> seen;
  std::size_t touched_paths = 0;
  bool default_changed = false;
  Clock::time_point last_round{};
  ClientSide client_side;
  Clock::time_point surroundings_known_until{};
  bool cut_off = false;
  std::optional<Clock::time_point> cut_off_checked_at{};
  std::optional<Clock::time_point> all_lost_at{}; // since when no server has a path
  Timer next_round;
  Idle idle;
  Poll poll; // declared after the socket, so closed before it
};

} // namespace hanat::probes
