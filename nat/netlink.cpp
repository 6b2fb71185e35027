// The netlink socket: every answer is read and believed only when it comes from the kernel (port 0) and carries our sequence.
#include "nat/netlink.hpp"

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

constexpr std::size_t receive_bytes = std::size_t{256} << 10; // one datagram of a dump is at most 32 KiB today; room to spare

/// The extended acknowledgement's text, if the kernel sent one.
std::string kernel_words(const nlmsghdr& header) {
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&header));
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0 || header.nlmsg_len < NLMSG_LENGTH(sizeof *error)) return {};
  // Capped acks carry the request's header only; others carry the whole request before the attributes.
  const std::size_t quoted = (header.nlmsg_flags & NLM_F_CAPPED) != 0 || error->error == 0 ? 0 : error->msg.nlmsg_len - sizeof(nlmsghdr);
  const std::size_t offset = sizeof *error + (quoted + 3) / 4 * 4;
  if (offset >= mnl_nlmsg_get_payload_len(&header)) return {};
  std::string words;
  mnl_attr_parse(
      &header, static_cast<unsigned>(offset),
      [](const nlattr* attribute, void* data) {
        if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
          *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
        return MNL_CB_OK;
      },
      &words);
  return words;
}

int error_of(const nlmsghdr& header) {
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) return EBADMSG;
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&header))->error;
}

/// 0 when the datagram is not the kernel's (FAILURES 40: anybody may send to our port).
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
  if (length >= 0 && (message.msg_flags & MSG_TRUNC) != 0) throw_netlink(EMSGSIZE, "read an answer of netlink");
  return length;
}

template <typename Visit> void for_each_message(std::span<const std::uint8_t> datagram, Visit&& visit) {
  int left = static_cast<int>(datagram.size());
  const auto* header = reinterpret_cast<const nlmsghdr*>(datagram.data());
  for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) visit(*header);
}

} // namespace

void throw_netlink(int error, std::string_view what, std::string_view words) {
  throw std::system_error(error, std::generic_category(), words.empty() ? std::string{what} : fmt::format("{} ({})", what, words));
}

Netlink::Netlink(std::size_t buffer_bytes, unsigned groups)
    : socket_(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK)), buffer_(receive_bytes) {
  if (!socket_) throw_netlink(errno, "open a netlink socket");
  if (mnl_socket_bind(socket_.get(), groups, MNL_SOCKET_AUTOPID) < 0) throw_netlink(errno, "bind the netlink socket");
  const int size = static_cast<int>(buffer_bytes);
  for (const int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE}) // without CAP_NET_ADMIN: the default stays, and larger batches say EMSGSIZE
    setsockopt(fd(), SOL_SOCKET, option, &size, sizeof size);
  const int on = 1;
  setsockopt(fd(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
}

int Netlink::fd() const { return mnl_socket_get_fd(socket_.get()); }
std::uint32_t Netlink::port_id() const { return mnl_socket_get_portid(socket_.get()); }

void Netlink::exchange(std::span<const std::uint8_t> bytes, std::uint32_t first_sequence, std::uint32_t last_sequence,
                       std::string_view what, const OnMessage& on_message, int deadline_ms) {
  if (mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size()) < 0) throw_netlink(errno, what);
  int first_error = 0;
  std::string words;
  bool interrupted = false;
  bool done = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{deadline_ms};
  while (!done) {
    const ssize_t length = receive(fd(), buffer_);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == EAGAIN) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd wait{.fd = fd(), .events = POLLIN, .revents = 0};
      if (left.count() > 0 && (poll(&wait, 1, static_cast<int>(left.count())) > 0 || errno == EINTR)) continue;
      throw_netlink(first_error != 0 ? first_error : ETIMEDOUT, what, words);
    }
    if (length < 0) throw_netlink(errno, what); // ENOBUFS: answers were lost, the request may have been carried out
    for_each_message({buffer_.data(), static_cast<std::size_t>(length)}, [&](const nlmsghdr& header) {
      const bool ours = header.nlmsg_pid == port_id() && header.nlmsg_seq - first_sequence <= last_sequence - first_sequence;
      if (!ours) return;
      interrupted |= (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (header.nlmsg_type == NLMSG_ERROR) {
        const int error = error_of(header);
        if (error != 0 && first_error == 0) {
          first_error = error;
          words = kernel_words(header);
        }
        // A refused batch still answers its later messages; the wanted acknowledgement, or the refusal of its own message, ends it.
        done |= header.nlmsg_seq == last_sequence;
      } else if (header.nlmsg_type == NLMSG_DONE) {
        done |= header.nlmsg_seq == last_sequence;
      } else if (on_message) {
        on_message(header);
      }
    });
    // The kernel answers inside sendto(): after a refusal whatever is still to come is already queued, and a refused batch may send no last
    // ack.
    pollfd queued{.fd = fd(), .events = POLLIN, .revents = 0};
    if (first_error != 0 && !done) done = poll(&queued, 1, 0) <= 0;
  }
  if (first_error != 0) throw_netlink(first_error, what, words);
  if (interrupted) throw_netlink(EINTR, what, "the dump was interrupted by a change");
}

bool Netlink::drain(const OnMessage& on_message) {
  bool complete = true;
  for (;;) {
    const ssize_t length = receive(fd(), buffer_);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0 && errno == ENOBUFS) {
      complete = false;
      continue;
    }
    if (length < 0) return complete;
    for_each_message({buffer_.data(), static_cast<std::size_t>(length)}, on_message);
  }
}

} // namespace hanat::nat
