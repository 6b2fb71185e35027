// One netlink socket of the netfilter family: sends a request, reads every reply to it, and turns the kernel's error and extended
// acknowledgement into an exception. Not here: the content of messages (nftables/transaction, conntrack/messages).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <libmnl/libmnl.h>

namespace hanat::nat {

/// `what` names the step ("load table inet hanat"); the exception's text adds the kernel's message if there is one.
[[noreturn]] void throw_netlink(int error, std::string_view what, std::string_view kernel_message = {});

class Netlink {
public:
  /// Opens NETLINK_NETFILTER: non-blocking, close-on-exec, extended acks on. With CAP_NET_ADMIN the buffers get `buffer_bytes`: the default
  /// receive buffer holds about 256 acknowledgements, and the default send buffer refuses large batches (280 KB: EMSGSIZE). `groups`: bit
  /// mask of multicast groups to join. Throws std::system_error.
  explicit Netlink(std::size_t buffer_bytes = std::size_t{8} << 20, unsigned groups = 0);

  int fd() const;
  std::uint32_t port_id() const;
  std::uint32_t next_sequence() { return ++sequence_; }
  void skip_sequences_to(std::uint32_t last_used) { sequence_ = last_used; }

  /// Called for every message of a reply that is neither an error nor the end of a dump.
  using OnMessage = std::function<void(const nlmsghdr&)>;
  /// Called for every message that the kernel refuses. Returns true if that was expected and the exchange goes on.
  using OnRefusal = std::function<bool(std::uint32_t sequence, int error)>;

  /// The kernel does its work and queues its replies inside sendto(), and each part of a dump inside recvmsg(). A second without a reply
  /// means that it is lost; waiting longer does not help.
  static constexpr int silence_ms = 1'000;

  /// Sends bytes as one datagram and reads replies until the acknowledgement or the end of the dump of `last_sequence` arrives. An error
  /// for a message of `first_sequence`..`last_sequence` that `expected` does not accept throws std::system_error, after the remaining
  /// replies have been read. So does a lost reply (ENOBUFS: the request may have been carried out; read the state again), and a kernel
  /// that is silent for `deadline_ms` (ETIMEDOUT). An interrupted dump (NLM_F_DUMP_INTR) throws std::errc::interrupted: dump again.
  /// Exceptions of `on_message` pass through; the dump is then half read and this socket cannot start another: open a new one.
  void exchange(std::span<const std::uint8_t> bytes, std::uint32_t first_sequence, std::uint32_t last_sequence, std::string_view what,
                const OnMessage& on_message = {}, int deadline_ms = silence_ms, const OnRefusal& expected = {});

  /// Joins or leaves a multicast group; queued messages stay queued. Throws std::system_error.
  void listen(unsigned group, bool on);
  /// Reads queued notifications without waiting, at most this many datagrams. Returns false if messages were lost (ENOBUFS).
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
