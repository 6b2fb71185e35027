// One netlink socket hears changes; another one lists all addresses, at the start and when changes were lost.
#include "daemon/pair/address_monitor.hpp"

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>
#include <variant>

#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "probes/io/uv.hpp"
#include "probes/io/watch_netlink.hpp"

namespace hanat {
namespace {

constexpr std::uint64_t list_again_after_ms = 100; // when that failed
constexpr int lists_at_most = 20;                  // a change interrupts a list
constexpr int errors_at_most = 100;                // of one read: addresses that change faster than they are read

struct FreeSocket {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};
using SocketPtr = std::unique_ptr<nl_sock, FreeSocket>;

void check(int error, const char* what) {
  if (error >= 0) return;
  throw std::system_error(error == -NLE_PERM ? EPERM : EIO, std::generic_category(), std::string{what} + ": " + nl_geterror(error));
}

SocketPtr open_socket() {
  SocketPtr socket{nl_socket_alloc()};
  if (!socket) throw std::system_error(ENOMEM, std::generic_category(), "make a netlink socket");
  check(nl_connect(socket.get(), NETLINK_ROUTE), "open a netlink socket for addresses");
  nl_socket_disable_seq_check(socket.get()); // events have none of ours
  return socket;
}

/// For libnl: every address of the kernel's messages goes to the places.
int take_message(nl_msg* message, void* data) {
  if (nlmsg_get_src(message)->nl_pid != 0) return NL_OK; // not of the kernel
  const auto change = probes::change_in(*nlmsg_hdr(message));
  if (!change) return NL_OK;
  if (const auto* address = std::get_if<probes::AddressChange>(&*change)) static_cast<AddressPlaces*>(data)->take(*address);
  return NL_OK;
}

AddressPlaces listed(const Address& address) {
  for (int lists = 1;; ++lists) {
    AddressPlaces places{address};
    const SocketPtr socket = open_socket();
    nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, take_message, &places);
    ifaddrmsg all{}; // of every family and interface
    check(nl_send_simple(socket.get(), RTM_GETADDR, NLM_F_DUMP, &all, sizeof all), "ask for the addresses of this machine");
    const int error = nl_recvmsgs_default(socket.get());
    if (error == -NLE_DUMP_INTR && lists < lists_at_most) continue;
    check(error, "list the addresses of this machine");
    return places;
  }
}

} // namespace

void AddressPlaces::take(const probes::AddressChange& change) {
  if (change.address != address_) return;
  if (change.removed || !change.usable)
    interfaces_.erase(change.interface);
  else
    interfaces_.insert(change.interface);
}

struct AddressMonitor::Watched {
  Address address;
  std::function<void()>& on_change;
  SocketPtr socket = open_socket();
  AddressPlaces places{address};
  UvHandle<uv_poll_t> poll;
  UvHandle<uv_timer_t> list_again;

  Watched(uv_loop_t* loop, const Address& watched, std::function<void()>& changed) : address(watched), on_change(changed) {
    check(nl_socket_add_memberships(socket.get(), RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NONE),
          "subscribe to changes of addresses");
    nl_socket_set_nonblocking(socket.get());
    nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, take_message, &places);
    places = listed(address); // behind the subscription: nothing falls between
    list_again = make_timer(loop, this);
    poll = make_poll(loop, nl_socket_get_fd(socket.get()), this);
    check_uv(probes::watch_netlink(poll.get(), [](uv_poll_t* ready) { static_cast<Watched*>(ready->data)->on_readable(); }),
             "watch the addresses");
  }

  void read() {
    bool lost = false;
    int errors = 0;
    for (int error = 0; error != -NLE_AGAIN && errors < errors_at_most;) {
      error = nl_recvmsgs_default(socket.get());
      if (error >= 0 || error == -NLE_AGAIN) continue;
      lost = true; // NLE_NOMEM is ENOBUFS: the buffer was full
      ++errors;
    }
    if (lost) list(); // behind all that was told before, which would be older
  }

  void list() {
    try {
      places = listed(address);
    } catch (const std::exception&) { // what was known stays until the kernel answers
      uv_timer_start(
          list_again.get(), [](uv_timer_t* timer) { static_cast<Watched*>(timer->data)->on_timer(); }, list_again_after_ms, 0);
    }
  }

  void on_readable() {
    tell_change([this] { read(); });
  }
  void on_timer() {
    tell_change([this] { list(); });
  }
  template <typename Look> void tell_change(const Look& look) {
    const bool before = places.here();
    look();
    if (places.here() != before) on_change();
  }
};

AddressMonitor::AddressMonitor(uv_loop_t* loop, std::function<void()> on_change) : loop_(loop), on_change_(std::move(on_change)) {}
AddressMonitor::~AddressMonitor() = default;

void AddressMonitor::watch(const std::optional<Address>& address) {
  if (watched_ && address == std::optional{watched_->address}) return;
  watched_ = address ? std::make_unique<Watched>(loop_, *address, on_change_) : nullptr;
}

bool AddressMonitor::is_here() {
  if (!watched_) return false;
  watched_->read();
  return watched_->places.here();
}

} // namespace hanat
