// Requests go out one datagram at a time, and every answer is read before the next.
#include "nat/conntrack_socket.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

namespace hanat::nat {
namespace {

// Messages of one datagram of deletes. Every one of them may be answered by a refusal, and a receive buffer that nobody could enlarge
// holds 256 answers.
constexpr std::size_t deletes_in_datagram = 200;

bool says_incomplete(const std::system_error& error) {
  // EINTR: the dump says itself that it was disturbed. ENOBUFS: a part was lost. EBUSY: an older dump of this socket still runs.
  const int code = error.code().value();
  return code == EINTR || code == ENOBUFS || code == EBUSY;
}

} // namespace

void EntryDeletes::add(const Entry& entry, const Mapping& of) {
  starts_.push_back(datagram_.size());
  put_entry_delete(datagram_, 0, entry, false);
  mappings_.push_back(of);
}

bool EntryDeletes::full() const { return starts_.size() >= deletes_in_datagram; }

void EntryDeletes::clear() {
  datagram_.clear();
  starts_.clear();
  mappings_.clear();
}

ConntrackSocket::ConntrackSocket(BeforeSend before_send) : before_send_(std::move(before_send)) {}

void ConntrackSocket::send(Netlink& netlink, Datagram& datagram, std::uint32_t first, std::uint32_t last, std::string_view what,
                           const Netlink::OnMessage& on_message, const Netlink::OnRefusal& expected) {
  if (before_send_) before_send_(datagram);
  netlink.exchange(datagram, first, last, what, on_message, Netlink::silence_ms, expected);
}

bool ConntrackSocket::dump(Family family, const Filter& filter, Mark mark, const OnEntry& on_entry) {
  Datagram datagram;
  const std::uint32_t sequence = dumps_.next_sequence();
  put_dump(datagram, sequence, family, filter, mark);
  try {
    send(dumps_, datagram, sequence, sequence, "dump conntrack entries", [&](const nlmsghdr& message) {
      if (const auto entry = parse_entry(message)) on_entry(*entry);
    });
    return true;
  } catch (const std::system_error& error) {
    dumps_ = Netlink{}; // the kernel may still be dumping into the old one, and would answer EBUSY
    if (!says_incomplete(error)) throw;
  } catch (...) {
    dumps_ = Netlink{};
    throw;
  }
  return false;
}

std::uint32_t ConntrackSocket::entries() {
  Datagram datagram;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_entry_counter(datagram, sequence);
  std::uint32_t entries = 0;
  send(deletes_, datagram, sequence, sequence, "read conntrack's entry counter",
       [&](const nlmsghdr& message) { entries = parse_entry_counter(message).value_or(entries); });
  return entries;
}

void ConntrackSocket::delete_mapping(const Mapping& mapping, Mark mark) {
  Datagram datagram;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_filtered_delete(datagram, sequence, mapping, mark);
  send(deletes_, datagram, sequence, sequence, "delete the conntrack entries of " + to_text(mapping.vip));
}

void ConntrackSocket::delete_entries(EntryDeletes& batch, const Cutter::OnDeleted& on_deleted) {
  if (batch.empty()) return;
  const std::uint32_t first = deletes_.next_sequence();
  std::uint32_t last = first;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (i > 0) last = deletes_.next_sequence();
    reinterpret_cast<nlmsghdr*>(batch.datagram_.data() + batch.starts_[i])->nlmsg_seq = last;
  }
  acknowledge(batch.datagram_, batch.starts_.back());
  std::vector<bool> gone(batch.size());
  const auto expected = [&](std::uint32_t sequence, int error) {
    gone.at(sequence - first) = true;
    return error == ENOENT || error == EBUSY; // EBUSY: offloaded to a flowtable
  };
  send(deletes_, batch.datagram_, first, last, "delete conntrack entries", {}, expected);
  for (std::size_t i = 0; i < batch.size(); ++i)
    if (!gone[i]) on_deleted(batch.mappings_[i], 1);
  batch.clear();
}

void ConntrackSocket::create(const Mapping& mapping, const Endpoint& client, std::uint32_t mark, std::uint32_t timeout_s) {
  Datagram datagram;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_new(datagram, sequence, mapping, client, mark, timeout_s);
  send(deletes_, datagram, sequence, sequence, "create a scratch conntrack entry");
}

void ConntrackSocket::remove(const Mapping& mapping, const Endpoint& client) {
  Datagram datagram;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_delete_new(datagram, sequence, mapping, client);
  send(deletes_, datagram, sequence, sequence, "remove a scratch conntrack entry", {},
       [](std::uint32_t, int error) { return error == ENOENT; });
}

} // namespace hanat::nat
