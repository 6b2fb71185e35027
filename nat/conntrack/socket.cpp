// Sends requests one datagram at a time, and reads every reply before the next.
#include "nat/conntrack/socket.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

namespace hanat::nat {
namespace {

// Every delete of a datagram may get an error as a reply, and a receive buffer of the default size holds 256 replies.
constexpr std::size_t deletes_per_datagram = 200;

bool is_incomplete(const std::system_error& error) {
  // EINTR: the kernel flagged the dump as interrupted. ENOBUFS: a part was lost. EBUSY: an older dump of this socket is still running.
  const int code = error.code().value();
  return code == EINTR || code == ENOBUFS || code == EBUSY;
}

KnownFlow known_flow(const Entry& entry) {
  if (!is_replied(entry)) return KnownFlow::unreplied;
  if (entry.mapping.vip.protocol != Protocol::tcp) return KnownFlow::replied;
  if (phase_of(entry) == TcpPhase::connecting) return KnownFlow::accepted;
  return state_of(entry) == FlowState::closing || has_reply_data(entry) ? KnownFlow::served : KnownFlow::replied;
}

} // namespace

void EntryDeletes::add(const Entry& entry, const Mapping& mapping) {
  starts_.push_back(batch_.size());
  put_entry_delete(batch_, 0, entry, false);
  mappings_.push_back(mapping);
  offloaded_.push_back(is_offloaded(entry));
  finished_.push_back(is_finished(entry));
}

void EntryDeletes::add(std::span<const std::uint8_t> request, const Mapping& mapping, bool offloaded) {
  starts_.push_back(batch_.size());
  batch_.insert(batch_.end(), request.begin(), request.end());
  mappings_.push_back(mapping);
  offloaded_.push_back(offloaded);
  finished_.push_back(false); // they are not recorded
}

bool EntryDeletes::full() const { return starts_.size() >= deletes_per_datagram; }

void EntryDeletes::clear() {
  batch_.clear();
  starts_.clear();
  mappings_.clear();
  offloaded_.clear();
  finished_.clear();
}

ConntrackSocket::ConntrackSocket(BeforeSend before_send) : before_send_(std::move(before_send)) {}

void ConntrackSocket::send(Netlink& netlink, MessageBatch& batch, std::uint32_t first, std::uint32_t last, std::string_view what,
                           const Netlink::OnMessage& on_message, const Netlink::OnRefusal& expected) {
  if (before_send_) before_send_(batch);
  netlink.exchange(batch, first, last, what, on_message, Netlink::silence_ms, expected);
}

bool ConntrackSocket::dump(Family family, const Filter& filter, Mark mark, const OnEntry& on_entry) {
  MessageBatch batch;
  const std::uint32_t sequence = dumps_.next_sequence();
  put_dump(batch, sequence, family, filter, mark);
  try {
    send(dumps_, batch, sequence, sequence, "dump conntrack entries", [&](const nlmsghdr& message) {
      if (const auto entry = parse_entry(message)) on_entry(*entry);
    });
    return true;
  } catch (const std::system_error& error) {
    dumps_ = Netlink{}; // the kernel may still be dumping to the old socket and would return EBUSY
    if (!is_incomplete(error)) throw;
  } catch (...) {
    dumps_ = Netlink{};
    throw;
  }
  return false;
}

std::uint32_t ConntrackSocket::entries() {
  MessageBatch batch;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_entry_counter(batch, sequence);
  std::uint32_t entries = 0;
  send(deletes_, batch, sequence, sequence, "read conntrack's entry counter",
       [&](const nlmsghdr& message) { entries = parse_entry_counter(message).value_or(entries); });
  return entries;
}

KnownFlow ConntrackSocket::look_up(const Tuple& original, std::uint16_t zone) {
  MessageBatch batch;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_lookup(batch, sequence, original, zone);
  KnownFlow known = KnownFlow::none;
  send(
      deletes_, batch, sequence, sequence, "look for a conntrack entry",
      [&](const nlmsghdr& message) {
        if (const auto entry = parse_entry(message)) known = known_flow(*entry);
      },
      [](std::uint32_t, int error) { return error == ENOENT; });
  return known;
}

void ConntrackSocket::delete_mapping(const Mapping& mapping, Mark mark) {
  MessageBatch batch;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_filtered_delete(batch, sequence, mapping, mark);
  send(deletes_, batch, sequence, sequence, "delete the conntrack entries of " + to_text(mapping.vip));
}

void ConntrackSocket::delete_entries(EntryDeletes& batch, const OnDeleted& on_deleted) {
  if (batch.empty()) return;
  const std::uint32_t first = deletes_.next_sequence();
  std::uint32_t last = first;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (i > 0) last = deletes_.next_sequence();
    reinterpret_cast<nlmsghdr*>(batch.batch_.data() + batch.starts_[i])->nlmsg_seq = last;
  }
  acknowledge(batch.batch_, batch.starts_.back());
  std::vector<int> errors(batch.size());
  const auto expected = [&](std::uint32_t sequence, int error) {
    errors.at(sequence - first) = error;
    return error == ENOENT || error == EBUSY; // expired; offloaded
  };
  send(deletes_, batch.batch_, first, last, "delete conntrack entries", {}, expected);
  for (std::size_t i = 0; i < batch.size(); ++i)
    if (errors[i] == EBUSY)
      on_deleted(batch.mappings_[i], {.busy = 1});
    else if (errors[i] == 0)
      on_deleted(batch.mappings_[i], {.entries = batch.finished_[i] ? 0U : 1U, .offloaded = batch.offloaded_[i] ? 1U : 0U});
  batch.clear();
}

void ConntrackSocket::create(const NewEntry& entry) {
  MessageBatch batch;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_new(batch, sequence, entry);
  send(deletes_, batch, sequence, sequence, "create a scratch conntrack entry");
}

void ConntrackSocket::remove(const NewEntry& entry) {
  MessageBatch batch;
  const std::uint32_t sequence = deletes_.next_sequence();
  put_delete_new(batch, sequence, entry);
  send(deletes_, batch, sequence, sequence, "remove a scratch conntrack entry", {},
       [](std::uint32_t, int error) { return error == ENOENT; });
}

} // namespace hanat::nat
