// epoll, edge-triggered: the kernel tells of each change once, and what it tells is how the socket is when it is read. So a socket that is
// disconnected and connected again between two reads is told of by its new connection alone.
#include "probes/io/ready_watch.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/epoll.h>

namespace hanat::probes {
namespace {

// Handled in one turn of the loop; the rest waits for the next.
constexpr std::size_t events_per_turn = 256;

Fd make_epoll() {
  Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll) throw std::system_error(errno, std::generic_category(), "make an epoll");
  return epoll;
}

} // namespace

ReadyWatch::Socket::Socket(Socket&& other) noexcept
    : watch_(std::exchange(other.watch_, nullptr)), fd_(std::move(other.fd_)), place_(other.place_) {}
ReadyWatch::Socket& ReadyWatch::Socket::operator=(Socket&& other) noexcept {
  std::swap(watch_, other.watch_);
  std::swap(fd_, other.fd_);
  std::swap(place_, other.place_);
  return *this;
}
ReadyWatch::Socket::~Socket() {
  if (watch_ != nullptr) watch_->release(place_);
}

void ReadyWatch::Socket::wait(Handler& handler) {
  Place& place = watch_->places_[place_];
  place.handler = &handler;
  place.not_before = watch_->reads_ + 1;
}

ReadyWatch::ReadyWatch(uv_loop_t* loop) : epoll_(make_epoll()), poll_(make_poll(loop, epoll_.get(), this)) {
  check_uv(uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) { static_cast<ReadyWatch*>(poll->data)->on_events(); }),
           "watch sockets");
  uv_unref(reinterpret_cast<uv_handle_t*>(poll_.get())); // every wait has a deadline, whose timer keeps the loop going
}

std::optional<ReadyWatch::Socket> ReadyWatch::add(Fd socket) {
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(places_.size()));
    places_.emplace_back();
  }
  const std::uint32_t number = free_.back();
  epoll_event event{.events = EPOLLOUT | EPOLLET, .data = {.u64 = std::uint64_t{places_[number].use} << 32 | number}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) return std::nullopt;
  free_.pop_back();
  return Socket{*this, std::move(socket), number};
}

/// Closing the descriptor ends its watch in the kernel, unless a child that has not called exec yet holds a copy of it.
void ReadyWatch::release(std::uint32_t number) {
  Place& place = places_[number];
  place.handler = nullptr;
  ++place.use;
  free_.push_back(number);
}

/// Handlers end connections, which the kernel tells as well: to read that now saves the loop a turn for it.
void ReadyWatch::on_events() {
  if (read_events() > 0) read_events();
}

int ReadyWatch::read_events() {
  std::array<epoll_event, events_per_turn> events;
  ++reads_;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int index = 0; index < count; ++index) {
    const epoll_event& event = events[static_cast<std::size_t>(index)];
    Place& place = places_[static_cast<std::uint32_t>(event.data.u64)];
    if (place.handler == nullptr || place.use != event.data.u64 >> 32 || place.not_before > reads_) continue;
    std::exchange(place.handler, nullptr)->on_ready((event.events & (EPOLLERR | EPOLLHUP)) != 0);
  }
  return count;
}

} // namespace hanat::probes
