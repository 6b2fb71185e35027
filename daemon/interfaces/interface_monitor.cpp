// One netlink socket hears changes. When some were lost, another one lists everything, on a thread: the kernel may be busy with its own
// changes of links, and a list waits for these.
#include "daemon/interfaces/interface_monitor.hpp"

#include <cerrno>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "daemon/util/job_queue.hpp"
#include "probes/io/uv.hpp"
#include "probes/io/watch_netlink.hpp"

namespace hanat {
namespace {

constexpr std::uint64_t retry_list_ms = 100; // when the kernel did not answer
constexpr int tries_of_a_list = 20;          // a change interrupts a list
constexpr int failed_reads = 100;            // of one turn: changes that come faster than they are read
constexpr int buffer_bytes = 1 << 20;        // hundreds of changes at once, as of a machine that starts containers

struct FreeNetlink {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};
using NetlinkPtr = std::unique_ptr<nl_sock, FreeNetlink>;
using Changes = std::vector<probes::Change>;

void must(int error, const char* what) {
  if (error >= 0) return;
  throw std::system_error(error == -NLE_PERM ? EPERM : EIO, std::generic_category(), std::string{what} + ": " + nl_geterror(error));
}

NetlinkPtr open_netlink() {
  NetlinkPtr socket{nl_socket_alloc()};
  if (!socket) throw std::system_error(ENOMEM, std::generic_category(), "make a netlink socket");
  must(nl_connect(socket.get(), NETLINK_ROUTE), "open a netlink socket for interfaces");
  nl_socket_disable_seq_check(socket.get()); // changes have none of ours
  return socket;
}

/// For libnl: every change of the kernel goes to the list.
int add_change(nl_msg* message, void* data) {
  if (nlmsg_get_src(message)->nl_pid != 0) return NL_OK; // not of the kernel
  if (auto change = probes::change_in(*nlmsg_hdr(message))) static_cast<Changes*>(data)->push_back(std::move(*change));
  return NL_OK;
}

/// False: a change has interrupted it.
bool dump(nl_sock* socket, int type, void* header, std::size_t size) {
  must(nl_send_simple(socket, type, NLM_F_DUMP, header, size), "ask for the interfaces of this machine");
  const int error = nl_recvmsgs_default(socket);
  if (error == -NLE_DUMP_INTR) return false;
  must(error, "list the interfaces of this machine");
  return true;
}

Changes list_all() {
  for (int tries = 1; tries <= tries_of_a_list; ++tries) {
    Changes all;
    const NetlinkPtr socket = open_netlink();
    nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, add_change, &all);
    ifinfomsg any_link{};
    ifaddrmsg any_address{};
    if (dump(socket.get(), RTM_GETLINK, &any_link, sizeof any_link) && dump(socket.get(), RTM_GETADDR, &any_address, sizeof any_address))
      return all;
  }
  throw std::system_error(EBUSY, std::generic_category(), "list the interfaces of this machine");
}

} // namespace

struct InterfaceMonitor::Impl {
  std::function<void()> on_change;
  NetlinkPtr socket = open_netlink();
  InterfaceTable table;
  Changes read_now, since_list; // while a list is under way
  bool listing = false, lost_again = false;
  unsigned lists = 0;
  UvHandle<uv_poll_t> poll;
  UvHandle<uv_timer_t> retry;
  JobQueue jobs;

  Impl(uv_loop_t* loop, std::function<void()> changed)
      : on_change(std::move(changed)), retry(make_timer(loop, this)), jobs(loop, WorkerThread::AtEnd::leave) {
    must(nl_socket_add_memberships(socket.get(), RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NONE),
         "subscribe to changes of interfaces");
    set_buffer(buffer_bytes);
    nl_socket_set_nonblocking(socket.get());
    nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, add_change, &read_now);
    table.replace(list_all()); // behind the subscription: nothing falls between
    poll = make_poll(loop, nl_socket_get_fd(socket.get()), this);
    check_uv(probes::watch_netlink(poll.get(), [](uv_poll_t* ready) { static_cast<Impl*>(ready->data)->read(); }), "watch the interfaces");
  }

  /// Above the system's limit with CAP_NET_ADMIN; a smaller one only loses changes sooner, which is noticed.
  void set_buffer(int bytes) const {
    const int fd = nl_socket_get_fd(socket.get());
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
      static_cast<void>(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
  }

  void read() {
    read_now.clear();
    bool lost = false;
    int errors = 0;
    for (int error = 0; error != -NLE_AGAIN && errors < failed_reads;) {
      error = nl_recvmsgs_default(socket.get());
      if (error >= 0 || error == -NLE_AGAIN) continue;
      lost = true; // NLE_NOMEM is ENOBUFS: the buffer was full
      ++errors;
    }
    bool differs = false;
    for (const probes::Change& change : read_now) differs |= table.take(change);
    if (listing) since_list.insert(since_list.end(), read_now.begin(), read_now.end());
    if (lost) list();
    if (differs) on_change();
  }

  void list() {
    lost_again = listing;
    if (listing) return;
    listing = true;
    since_list.clear();
    auto all = std::make_shared<std::optional<Changes>>();
    jobs.run(
        [all] {
          try {
            *all = list_all();
          } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): what was known stays until the kernel answers
          }
        },
        [this, all] { listed(*all); });
  }

  /// Some of the changes since then are in the list already; the last one of each is right.
  void listed(const std::optional<Changes>& all) {
    listing = false;
    if (!all) {
      uv_timer_start(
          retry.get(), [](uv_timer_t* timer) { static_cast<Impl*>(timer->data)->list(); }, retry_list_ms, 0);
      return;
    }
    ++lists;
    table.replace(*all);
    for (const probes::Change& change : since_list) table.take(change);
    since_list.clear();
    if (lost_again) list();
    on_change();
  }
};

InterfaceMonitor::InterfaceMonitor(uv_loop_t* loop, std::function<void()> on_change)
    : impl_(std::make_unique<Impl>(loop, std::move(on_change))) {}
InterfaceMonitor::~InterfaceMonitor() = default;

const InterfaceTable& InterfaceMonitor::table() const { return impl_->table; }
unsigned InterfaceMonitor::lists() const { return impl_->lists; }
void InterfaceMonitor::set_buffer(int bytes) { impl_->set_buffer(bytes); }

} // namespace hanat
