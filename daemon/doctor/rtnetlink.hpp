// Short requests to the kernel's routing and links: one message, one reply. Blocking for as long as the kernel takes: for a worker thread.
// Not here: watching changes (probes/passive/route_socket), what is asked for (client_link, read_host).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <libmnl/libmnl.h>

#include "nat/address.hpp"

namespace hanat {

/// One message under construction.
class RtMessage {
public:
  RtMessage(std::uint16_t type, std::uint16_t flags);
  /// The fixed header behind the netlink header, as zeros.
  template <typename Header> Header& extra() { return *static_cast<Header*>(mnl_nlmsg_put_extra_header(header(), sizeof(Header))); }
  RtMessage& put(std::uint16_t type, std::uint32_t value);
  RtMessage& put(std::uint16_t type, const Address& address);
  RtMessage& put(std::uint16_t type, std::string_view text); // with its NUL
  RtMessage& put_bytes(std::uint16_t type, const void* bytes, std::size_t length);
  nlattr* open(std::uint16_t type) { return mnl_attr_nest_start(header(), type); }
  void close(nlattr* nest) { mnl_attr_nest_end(header(), nest); }
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }

private:
  std::vector<std::uint8_t> bytes_; // of a fixed size: nests point into it
};

class Rtnetlink {
public:
  /// In the calling thread's network namespace. Throws std::system_error.
  Rtnetlink();

  using OnMessage = std::function<void(const nlmsghdr&)>;
  /// Sends it and reads to the acknowledgement, or to the end of a dump. 0, or the errno of the kernel.
  int request(RtMessage& message, const OnMessage& on_message = {});
  /// The same, and throws std::system_error on an error: `what` was to be done.
  void must(RtMessage& message, const char* what);

private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 0;
};

/// The first attribute of that type behind a header of `header_bytes`; nullptr: none.
const nlattr* attribute_of(const nlmsghdr& message, std::size_t header_bytes, std::uint16_t type);
/// The same inside an attribute; nullptr in nullptr.
const nlattr* nested_of(const nlattr* attribute, std::uint16_t type);
std::uint32_t number_in(const nlattr* attribute);
std::optional<Address> address_in(const nlattr* attribute);

} // namespace hanat
