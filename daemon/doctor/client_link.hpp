// The veth pair by which hanatd's own client reaches this machine: what is sent into the outer end arrives at the inner end like a packet
// from a wire. It exists only as long as the object. Not here: the packets (client_packet), sending them (synthetic_client).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/doctor/rtnetlink.hpp"
#include "nat/address.hpp"

namespace hanat {

/// Removes the pairs that a killed hanatd with this table left behind; how many. Throws std::system_error.
std::size_t remove_old_client_links(const std::string& table);

class ClientLink {
public:
  /// A pair with host routes to these client addresses. `table` tells several hanatds of one machine apart. An address whose family this
  /// machine does not have is left out. Throws std::system_error; nothing is left behind then.
  ClientLink(const std::string& table, const std::vector<Address>& clients);
  ~ClientLink();
  ClientLink(const ClientLink&) = delete;
  ClientLink& operator=(const ClientLink&) = delete;

  const std::string& inner() const { return inner_; } // where the packets of the client arrive: "hanat-c0"
  unsigned inner_index() const { return inner_index_; }
  std::array<std::uint8_t, 6> inner_hardware() const { return hardware_; }
  unsigned outer_index() const { return outer_index_; }
  bool carries(Family family) const { return family == Family::ipv4 ? ipv4_ : ipv6_; }

private:
  void make(const std::string& table);
  void configure(const std::string& table);
  void add_client(const std::string& table, const Address& client);
  void wait_until_running();
  void remove() noexcept;

  Rtnetlink netlink_;
  std::string inner_, outer_;
  std::array<std::uint8_t, 6> hardware_{};
  unsigned inner_index_ = 0, outer_index_ = 0;
  bool ipv4_ = false, ipv6_ = false;
};

} // namespace hanat
