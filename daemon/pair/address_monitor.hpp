// Whether an address is on any interface of this machine, as rtnetlink tells it. An IPv6 address counts once the kernel has seen that
// nobody else has it. Not here: what follows from it (role), reading the kernel's messages (probes/passive/route_socket).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>

#include <uv.h>

#include "nat/address.hpp"
#include "probes/passive/route_socket.hpp"

namespace hanat {

/// On which interfaces the address is, by one message after the other. Pure.
class AddressPlaces {
public:
  explicit AddressPlaces(const Address& address) : address_(address) {}
  void take(const probes::AddressChange& change);
  bool here() const { return !interfaces_.empty(); }

private:
  Address address_;
  std::set<unsigned> interfaces_; // indexes
};

class AddressMonitor {
public:
  /// `on_change` is called on the loop when the address has come or gone.
  AddressMonitor(uv_loop_t* loop, std::function<void()> on_change);
  ~AddressMonitor(); // the loop must run once more to close handles
  AddressMonitor(const AddressMonitor&) = delete;
  AddressMonitor& operator=(const AddressMonitor&) = delete;

  /// In the calling thread's network namespace. nullopt: none is watched. Throws std::system_error.
  void watch(const std::optional<Address>& address);
  /// Reads what the kernel has told until now.
  bool is_here();

private:
  struct Watched;
  uv_loop_t* loop_;
  std::function<void()> on_change_;
  std::unique_ptr<Watched> watched_;
};

} // namespace hanat
