// What this gateway has to tell the other one, in the order of its changes: each change has a serial, and who knows one asks for what came
// behind it. Pure: `now` is an argument. Not here: what is told of a service (make_peer_service), who asks (peer_listener).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/peer/peer_page.hpp"

namespace hanat {

class PeerFeed {
public:
  /// `instance`: no other start has the same. `hanatd`: this one's version.
  PeerFeed(std::string instance, std::string hanatd) : instance_(std::move(instance)), hanatd_(std::move(hanatd)) {}

  /// True: it differs from what is known; who waits is to be told.
  bool set_role(std::string_view role, Time now);
  /// What is known of the programs of this gateway; likewise.
  bool set_programs(std::string_view conntrackd, std::string_view keepalived, Time now);
  /// nullopt: it is no longer configured.
  bool update(const std::string& name, std::optional<PeerService> service, Time now);

  std::uint64_t serial() const { return serial_; }
  /// Whether somebody who knows that serial, of that instance, knows all.
  bool is_new(std::uint64_t after, std::string_view instance) const { return instance != instance_ || after != serial_; }
  PeerPage page(std::uint64_t after, std::string_view instance, Time now, WallTime wall) const;

private:
  struct Entry {
    std::uint64_t serial = 0;
    std::optional<PeerService> service;
  };
  void changed(Time now) {
    ++serial_;
    changed_at_ = now;
  }
  void forget_removed();

  std::string instance_, hanatd_, role_;
  std::string conntrackd_ = "unknown", keepalived_ = "unknown";
  std::uint64_t serial_ = 0, generation_ = 0;
  Time role_since_{}, changed_at_{};
  std::map<std::string, Entry> services_;          // removed ones, too
  std::map<std::uint64_t, std::string> by_serial_; // the name of each
  std::size_t removed_ = 0;
};

} // namespace hanat
