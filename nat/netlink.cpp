// The netlink socket. Accepts a reply only if it comes from the kernel (port 0) and has our sequence number.
#include "nat/netlink.hpp"

#include "nat/clock.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <linux/netlink.h>

namespace hanat::nat {
namespace {

constexpr std::size_t receive_bytes = std::size_t{256} << 10; // a datagram of a dump has at most 32 KiB today

/// The text of the extended acknowledgement, if the kernel sent one.
std::string kernel_message(const nlmsghdr& header) {
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&header));
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0 || header.nlmsg_len < NLMSG_LENGTH(sizeof *error)) return {};
  // Capped acks contain only the request's header; others contain the whole request before the attributes.
  const std::size_t quoted = (header.nlmsg_flags & NLM_F_CAPPED) != 0 || error->error == 0 ? 0 : error->msg.nlmsg_len - sizeof(nlmsghdr);
  const std::size_t offset = sizeof *error + ((quoted + 3) & ~std::size_t{3});
  if (offset >= mnl_nlmsg_get_payload_len(&header)) return {};
  std::string text;
  mnl_attr_parse(
      &header, static_cast<unsigned>(offset),
      [](const nlattr* attribute, void* data) {
        if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
          *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
        return MNL_CB_OK;
      },
      &text);
  return text;
}

int error_of(const nlmsghdr& header) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) return EBADMSG;
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&header))->error;
}

/// The end of a dump has the error that ended it early; 0 for a complete dump.
int error_of_dump(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(int)) return 0;
  return -*static_cast<const int*>(mnl_nlmsg_get_payload(&header));
}

/// Returns 0 if the datagram is not from the kernel (other processes can send to our port).
ssize_t receive(int fd, std::span<std::uint8_t> buffer) {
  sockaddr_nl sender{};
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr message{};
  message.msg_name = &sender;
  message.msg_namelen = sizeof sender;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
  if (length >= 0 && sender.nl_pid != 0) return 0;
  if (length >= 0 && (message.msg_flags & MSG_TRUNC) != 0) throw_netlink(EMSGSIZE, "read a netlink reply");
  return length;
}

template <typename Visit> void for_each_message(std::span<const std::uint8_t> datagram, Visit&& visit) {
  int left = static_cast<int>(datagram.size());
  const auto* header = reinterpret_cast<const nlmsghdr*>(datagram.data());
  for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) visit(*header);
}

} // namespace

void throw_netlink(int error, std::string_view what, std::string_view kernel_message) {
  throw std::system_error(error, std::generic_category(),
                          kernel_message.empty() ? std::string{what} : fmt::format("{} ({})", what, kernel_message));
}

Netlink::Netlink(std::size_t buffer_bytes, unsigned groups)
    : socket_(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK)), buffer_(receive_bytes) {
  if (!socket_) throw_netlink(errno, "open a netlink socket");
  if (mnl_socket_bind(socket_.get(), groups, MNL_SOCKET_AUTOPID) < 0) throw_netlink(errno, "bind the netlink socket");
  const int size = static_cast<int>(buffer_bytes);
  for (const int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE}) // without CAP_NET_ADMIN the default stays, and large batches fail with EMSGSIZE
    setsockopt(fd(), SOL_SOCKET, option, &size, sizeof size);
  const int on = 1;
  setsockopt(fd(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
}

int Netlink::fd() const { return mnl_socket_get_fd(socket_.get()); }
std::uint32_t Netlink::port_id() const { return mnl_socket_get_portid(socket_.get()); }

namespace {

/// Collects the replies of one exchange.
class Replies {
public:
  Replies(std::uint32_t port, std::uint32_t first, std::uint32_t last, const Netlink::OnMessage& on_message,
          const Netlink::OnRefusal& expected)
      : port_(port), first_(first), last_(last), on_message_(on_message), expected_(expected) {}

  /// Returns false for a message that does not belong to this exchange.
  bool take(const nlmsghdr& header) {
    if (header.nlmsg_pid != port_ || header.nlmsg_seq - first_ > last_ - first_) return false;
    interrupted_ |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    const bool end = header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE;
    if (end) {
      record_error(header, header.nlmsg_type == NLMSG_ERROR ? error_of(header) : error_of_dump(header));
      // A refused batch still gets replies to its later messages. The exchange ends with the reply to the last one.
      done_ |= header.nlmsg_seq == last_;
    } else if (on_message_) {
      on_message_(header);
    }
    return true;
  }

  bool done() const { return done_; }
  void finish() { done_ = true; }
  int error() const { return error_; }
  void report(std::string_view what) const {
    if (error_ != 0) throw_netlink(error_, what, kernel_message_);
    if (interrupted_) throw_netlink(EINTR, what, "the dump was interrupted by a change");
  }

private:
  void record_error(const nlmsghdr& header, int error) {
    if (error == 0 || error_ != 0 || (expected_ && expected_(header.nlmsg_seq, error))) return;
    error_ = error;
    if (header.nlmsg_type == NLMSG_ERROR) kernel_message_ = kernel_message(header);
  }

  std::uint32_t port_, first_, last_;
  const Netlink::OnMessage& on_message_;
  const Netlink::OnRefusal& expected_;
  int error_ = 0;
  std::string kernel_message_;
  bool interrupted_ = false;
  bool done_ = false;
};

} // namespace

void Netlink::exchange(std::span<const std::uint8_t> bytes, std::uint32_t first_sequence, std::uint32_t last_sequence,
                       std::string_view what, const OnMessage& on_message, int deadline_ms, const OnRefusal& expected) {
  if (mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size()) < 0) throw_netlink(errno, what);
  Replies replies{port_id(), first_sequence, last_sequence, on_message, expected};
  auto deadline = Clock::now() + std::chrono::milliseconds{deadline_ms};
  while (!replies.done()) {
    const ssize_t length = receive(fd(), buffer_);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == EAGAIN) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      pollfd wait{.fd = fd(), .events = POLLIN, .revents = 0};
      if (left.count() > 0 && (poll(&wait, 1, static_cast<int>(left.count())) > 0 || errno == EINTR)) continue;
      throw_netlink(replies.error() != 0 ? replies.error() : ETIMEDOUT, what);
    }
    if (length < 0) throw_netlink(errno, what); // ENOBUFS: replies were lost, the request may have been carried out
    bool received = false;
    for_each_message({buffer_.data(), static_cast<std::size_t>(length)}, [&](const nlmsghdr& header) { received |= replies.take(header); });
    // A long dump extends the deadline; messages of other processes do not.
    if (received) deadline = Clock::now() + std::chrono::milliseconds{deadline_ms};
    if (!received && Clock::now() > deadline) throw_netlink(ETIMEDOUT, what);
    // The kernel replies inside sendto(): after an error the remaining replies are already queued, and a refused batch may have no last
    // ack.
    pollfd queued{.fd = fd(), .events = POLLIN, .revents = 0};
    if (replies.error() != 0 && !replies.done() && poll(&queued, 1, 0) <= 0) replies.finish();
  }
  replies.report(what);
}

void Netlink::listen(unsigned group, bool on) {
  const int number = static_cast<int>(group);
  if (setsockopt(fd(), SOL_NETLINK, on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &number, sizeof number) != 0)
    throw_netlink(errno, on ? "join a netlink group" : "leave a netlink group");
}

bool Netlink::drain(const OnMessage& on_message, std::size_t at_most) {
  bool complete = true;
  for (std::size_t read = 0; read < at_most; ++read) {
    const ssize_t length = receive(fd(), buffer_);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == ENOBUFS) {
      complete = false;
      continue;
    }
    if (length < 0) return complete;
    for_each_message({buffer_.data(), static_cast<std::size_t>(length)}, on_message);
  }
  return complete;
}

} // namespace hanat::nat
