// One netlink socket of the netfilter family: send a message, read every answer to it, turn the kernel's error and its extended
// acknowledgement into an exception. Not here: what is in the messages.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <libmnl/libmnl.h>

namespace hanat::nat {

/// `what` names the step ("load table inet hanat"); the exception's text adds the kernel's own words where it gave some.
[[noreturn]] void throw_netlink(int error, std::string_view what, std::string_view kernel_words = {});

class Netlink {
public:
  /// Opens NETLINK_NETFILTER, non-blocking, close-on-exec, extended acks on, with buffers forced to `buffer_bytes` where CAP_NET_ADMIN
  /// allows (FACTS 9: the defaults lose acknowledgements and refuse large batches). `groups`: multicast bit mask (bind). Throws
  /// std::system_error.
  explicit Netlink(std::size_t buffer_bytes = std::size_t{8} << 20, unsigned groups = 0);

  int fd() const;
  std::uint32_t port_id() const;
  std::uint32_t next_sequence() { return ++sequence_; }
  void skip_sequences_to(std::uint32_t last_used) { sequence_ = last_used; }

  /// Called for every message of an answer that is neither an error nor the end.
  using OnMessage = std::function<void(const nlmsghdr&)>;
  /// Asked about every message that the kernel refused: true when that was to be expected and is no failure of the exchange.
  using OnRefusal = std::function<bool(std::uint32_t sequence, int error)>;

  /// The kernel does its work and queues its answers inside sendto(), and each part of a dump inside recvmsg(): a second without one means
  /// that it is lost, and whoever waits longer is deaf for nothing.
  static constexpr int silence_ms = 1'000;

  /// Sends bytes as one datagram and reads answers until the acknowledgement or the end of the dump of `last_sequence` arrives. Any error
  /// inside `first_sequence`..`last_sequence` that `expected` does not take throws std::system_error, after the rest of the answers was
  /// read; so does an answer that was lost (ENOBUFS: the request may have been carried out; read the state again) and a kernel that stays
  /// silent for `deadline_ms` (ETIMEDOUT). EINTR from a dump (NLM_F_DUMP_INTR) throws std::errc::interrupted: dump again.
  /// What `on_message` throws comes through; the dump is then half read, and this socket can start no other: open a new one.
  void exchange(std::span<const std::uint8_t> bytes, std::uint32_t first_sequence, std::uint32_t last_sequence, std::string_view what,
                const OnMessage& on_message = {}, int deadline_ms = silence_ms, const OnRefusal& expected = {});

  /// Joins or leaves a multicast group; what came before stays to be read. Throws std::system_error.
  void listen(unsigned group, bool on);
  /// Reads what the kernel sent by itself, without waiting, and at most so many datagrams. Returns false when messages were lost (ENOBUFS).
  bool drain(const OnMessage& on_message, std::size_t at_most = SIZE_MAX);

private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  std::unique_ptr<mnl_socket, Close> socket_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t sequence_ = 0;
};

} // namespace hanat::nat
