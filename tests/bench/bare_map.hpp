// The floor of a flip: one map alone in a table, some elements of which get other data, by the fewest messages that nf_tables takes, put
// together by hand with libmnl. Shares no code with hanat. Not here: what it is compared with (commit).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <libmnl/libmnl.h>

namespace hanat::bench {

class BareMap {
public:
  /// In the calling thread's namespace; key 203.0.113.10 . tcp . 1 to `elements`.
  explicit BareMap(std::uint16_t elements);

  /// The elements from `first` on get another server, in one batch. Returns with the kernel's acknowledgement; throws on its refusal.
  void replace(std::uint16_t first, std::uint16_t count, std::uint8_t server);

private:
  nlmsghdr* message(std::uint16_t type, std::uint16_t flags);
  void batch_mark(std::uint16_t type);
  void elements(std::uint16_t type, std::uint16_t flags, std::uint16_t first, std::uint16_t count, std::uint8_t server);
  void read_acknowledgement(std::uint32_t sequence);

  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  std::unique_ptr<mnl_socket, Close> socket_;
  std::vector<std::uint8_t> batch_;
  std::size_t used_ = 0;
  std::uint32_t sequence_ = 0;
};

} // namespace hanat::bench
