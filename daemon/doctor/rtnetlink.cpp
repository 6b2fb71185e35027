// libmnl on NETLINK_ROUTE.
#include "daemon/doctor/rtnetlink.hpp"

#include <cerrno>
#include <optional>
#include <string>
#include <system_error>

#include <linux/rtnetlink.h>

namespace hanat {
namespace {

constexpr std::size_t longest_request = 1'024;
constexpr std::size_t longest_reply = std::size_t{64} << 10;
constexpr timeval longest_silence{.tv_sec = 1, .tv_usec = 0}; // the kernel replies inside sendto()

} // namespace

RtMessage::RtMessage(std::uint16_t type, std::uint16_t flags) : bytes_(longest_request) {
  nlmsghdr* const made = mnl_nlmsg_put_header(bytes_.data());
  made->nlmsg_type = type;
  made->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}
RtMessage& RtMessage::put(std::uint16_t type, std::uint32_t value) {
  mnl_attr_put_u32(header(), type, value);
  return *this;
}
RtMessage& RtMessage::put(std::uint16_t type, const Address& address) {
  return put_bytes(type, address.bytes().data(), address.bytes().size());
}
RtMessage& RtMessage::put(std::uint16_t type, std::string_view text) {
  mnl_attr_put_strz(header(), type, std::string{text}.c_str());
  return *this;
}
RtMessage& RtMessage::put_bytes(std::uint16_t type, const void* bytes, std::size_t length) {
  mnl_attr_put(header(), type, length, bytes);
  return *this;
}

Rtnetlink::Rtnetlink() : socket_(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)) {
  if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0)
    throw std::system_error(errno, std::generic_category(), "open a netlink socket for links and routes");
  const int strict = 1; // dumps with a filter; an older kernel dumps everything, and the reader looks again
  static_cast<void>(mnl_socket_setsockopt(socket_.get(), NETLINK_GET_STRICT_CHK, const_cast<int*>(&strict), sizeof strict));
  static_cast<void>(setsockopt(mnl_socket_get_fd(socket_.get()), SOL_SOCKET, SO_RCVTIMEO, &longest_silence, sizeof longest_silence));
}

int Rtnetlink::request(RtMessage& message, const OnMessage& on_message) {
  nlmsghdr* const header = message.header();
  const std::uint32_t sequence = header->nlmsg_seq = ++sequence_;
  const bool dump = (header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  const bool get = !dump && (header->nlmsg_flags & NLM_F_ACK) == 0;
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) return errno;
  std::vector<std::uint8_t> buffer(longest_reply);
  for (;;) {
    const ssize_t length = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno;
    int left = static_cast<int>(length);
    for (const auto* reply = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(reply, left);
         reply = mnl_nlmsg_next(reply, &left)) {
      if (reply->nlmsg_seq != sequence) continue; // of an earlier request
      if (reply->nlmsg_type == NLMSG_DONE) return 0;
      if (reply->nlmsg_type == NLMSG_ERROR) return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(reply))->error;
      if (on_message) on_message(*reply);
      if (get) return 0;
    }
  }
}

void Rtnetlink::must(RtMessage& message, const char* what) {
  if (const int error = request(message); error != 0) throw std::system_error(error, std::generic_category(), what);
}

namespace {

struct Search {
  std::uint16_t type;
  const nlattr* found = nullptr;
};
int look_at(const nlattr* attribute, void* data) {
  auto& search = *static_cast<Search*>(data);
  if (mnl_attr_get_type(attribute) == search.type && search.found == nullptr) search.found = attribute;
  return MNL_CB_OK;
}

} // namespace

const nlattr* attribute_of(const nlmsghdr& message, std::size_t header_bytes, std::uint16_t type) {
  Search search{.type = type};
  mnl_attr_parse(&message, static_cast<unsigned>(header_bytes), look_at, &search);
  return search.found;
}
const nlattr* nested_of(const nlattr* attribute, std::uint16_t type) {
  Search search{.type = type};
  if (attribute != nullptr) mnl_attr_parse_nested(attribute, look_at, &search);
  return search.found;
}
std::uint32_t number_in(const nlattr* attribute) {
  return attribute == nullptr || mnl_attr_get_payload_len(attribute) < sizeof(std::uint32_t) ? 0 : mnl_attr_get_u32(attribute);
}
std::optional<Address> address_in(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const std::size_t length = mnl_attr_get_payload_len(attribute);
  if (length != 4 && length != 16) return std::nullopt;
  return Address::from_bytes({static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), length});
}

} // namespace hanat
