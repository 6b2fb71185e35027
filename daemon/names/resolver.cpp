// c-ares says which sockets it waits for and for how long, and libuv waits.
#include "daemon/names/resolver.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include <ares.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include "probes/io/uv.hpp"

namespace hanat {
namespace {

// Two tries of a second and of two: the loop's other work is not held up, and a lost packet costs a second.
constexpr int try_ms = 1000, tries = 2;
constexpr std::size_t queries_at_once = 64; // a thousand names must not flood the resolver

LookupFailure failure_of(int status, Family family) {
  switch (status) {
  case ARES_ENOTFOUND: return {.text = "there is no such name (NXDOMAIN)"};
  case ARES_ENODATA: return {.text = fmt::format("it has no {} record", family == Family::ipv4 ? "A" : "AAAA")};
  case ARES_EBADNAME: return {.text = "it is not a name of DNS"};
  case ARES_ESERVFAIL: return {.text = "the resolver reports a failure (SERVFAIL)", .is_of_resolver = true};
  case ARES_EREFUSED: return {.text = "the resolver refuses to answer (REFUSED)", .is_of_resolver = true};
  case ARES_ETIMEOUT: return {.text = "the resolver does not answer", .is_of_resolver = true};
  case ARES_ECONNREFUSED: return {.text = "the resolver cannot be reached", .is_of_resolver = true};
  default: return {.text = fmt::format("the resolver's answer is of no use ({})", ares_strerror(status)), .is_of_resolver = true};
  }
}

/// The addresses of the family, and the shortest time for which all records on the way to them hold.
NameAnswer answer_of(const ares_addrinfo& found, Family family) {
  NameAnswer answer{.ttl = longest_ttl};
  for (const ares_addrinfo_cname* cname = found.cnames; cname != nullptr; cname = cname->next)
    answer.ttl = std::min(answer.ttl, std::chrono::seconds{cname->ttl});
  for (const ares_addrinfo_node* node = found.nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != (family == Family::ipv4 ? AF_INET : AF_INET6)) continue;
    answer.ttl = std::min(answer.ttl, std::chrono::seconds{node->ai_ttl});
    if (family == Family::ipv4) {
      const auto& in = *reinterpret_cast<const sockaddr_in*>(node->ai_addr);
      answer.addresses.push_back(Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&in.sin_addr), 4}));
    } else {
      const auto& in = *reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
      answer.addresses.push_back(Address::from_bytes({in.sin6_addr.s6_addr, 16}));
    }
  }
  return answer;
}

} // namespace

/// A channel of c-ares with its sockets and its timer. Made on a thread, where it reads files; used on the loop.
class Resolver::Channel {
public:
  explicit Channel(const std::optional<Endpoint>& server) {
    ares_options options{};
    options.timeout = try_ms;
    options.tries = tries;
    std::string lookups = "b"; // DNS, and no files
    options.lookups = lookups.data();
    options.sock_state_cb = &Channel::on_socket;
    options.sock_state_cb_data = this;
    status_ = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (status_ == ARES_SUCCESS && server) status_ = ares_set_servers_ports_csv(channel_, to_text(*server).c_str());
  }
  ~Channel() {
    if (channel_ != nullptr) ares_destroy(channel_); // ends its queries, and its sockets
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void attach(uv_loop_t* loop) {
    loop_ = loop;
    timer_ = make_timer(loop, this);
  }
  int status() const { return status_; }

  void ask(Pending* pending, const NameQuery& query, ares_addrinfo_callback callback) {
    ares_addrinfo_hints hints{};
    hints.ai_flags = ARES_AI_NOSORT; // which would open sockets to the servers
    hints.ai_family = query.family == Family::ipv4 ? AF_INET : AF_INET6;
    ares_getaddrinfo(channel_, query.name.c_str(), nullptr, &hints, callback, pending);
    set_timer();
  }

private:
  /// `data`: this; both false: c-ares is about to close the socket.
  static void on_socket(void* data, ares_socket_t socket, int readable, int writable) {
    auto* const self = static_cast<Channel*>(data);
    if (self->loop_ == nullptr) return;
    if (readable == 0 && writable == 0) {
      self->polls_.erase(socket);
      return;
    }
    auto& poll = self->polls_[socket];
    int error = 0;
    if (!poll) poll = probes::try_poll(self->loop_, socket, error);
    if (!poll) return; // not watched: the query ends by its time
    poll->data = self;
    const int events = (readable != 0 ? UV_READABLE : 0) | (writable != 0 ? UV_WRITABLE : 0);
    uv_poll_start(poll.get(), events, [](uv_poll_t* handle, int result, int ready) {
      uv_os_fd_t fd = -1;
      uv_fileno(reinterpret_cast<uv_handle_t*>(handle), &fd);
      const bool failed = result < 0; // c-ares reads the error
      static_cast<Channel*>(handle->data)
          ->process(failed || (ready & UV_READABLE) != 0 ? fd : ARES_SOCKET_BAD,
                    failed || (ready & UV_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
    });
  }

  void process(ares_socket_t readable, ares_socket_t writable) {
    ares_process_fd(channel_, readable, writable);
    set_timer();
  }

  void set_timer() {
    timeval left{};
    if (ares_timeout(channel_, nullptr, &left) == nullptr) {
      uv_timer_stop(timer_.get());
      return;
    }
    const auto milliseconds = static_cast<std::uint64_t>(left.tv_sec) * 1000 + static_cast<std::uint64_t>(left.tv_usec) / 1000 + 1;
    uv_timer_start(
        timer_.get(), [](uv_timer_t* timer) { static_cast<Channel*>(timer->data)->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); },
        milliseconds, 0);
  }

  ares_channel channel_ = nullptr;
  int status_ = ARES_SUCCESS;
  uv_loop_t* loop_ = nullptr;
  UvHandle<uv_timer_t> timer_;
  std::map<ares_socket_t, probes::Poll> polls_;
};

struct Resolver::Pending {
  Resolver* resolver;
  NameQuery query;
};

Resolver::Resolver(uv_loop_t* loop, OnAnswer on_answer)
    : loop_(loop), on_answer_(std::move(on_answer)), jobs_(loop, WorkerThread::AtEnd::leave) {
  static const int once = ares_library_init(ARES_LIB_INIT_ALL);
  static_cast<void>(once);
}

Resolver::~Resolver() {
  on_answer_ = {}; // what is under way ends now
  channel_.reset();
}

void Resolver::use(const std::optional<Endpoint>& server) {
  server_ = server;
  make_channel();
}

/// A disk that hangs delays no more than names.
void Resolver::make_channel() {
  stale_ = replacing_;
  if (replacing_) return;
  replacing_ = true;
  auto made = std::make_shared<std::unique_ptr<Channel>>();
  jobs_.run([made, server = server_] { *made = std::make_unique<Channel>(server); }, [this, made] { on_made(std::move(*made)); });
}

void Resolver::on_made(std::unique_ptr<Channel> made) {
  replacing_ = false;
  if (stale_) return make_channel();
  const int status = made->status();
  if (status == ARES_SUCCESS) {
    made->attach(loop_);
    channel_.swap(made);
  }
  made.reset(); // the queries of the old one end, and wait for the new one
  if (channel_) return ask_waiting();
  for (const NameQuery& query : std::exchange(waiting_, {}))
    on_answer_(query, {.addresses = {},
                       .ttl = {},
                       .failure = LookupFailure{.text = fmt::format("/etc/resolv.conf cannot be used ({})", ares_strerror(status)),
                                                .is_of_resolver = true}});
}

void Resolver::ask(const NameQuery& query) {
  waiting_.push_back(query);
  if (!channel_ && !replacing_) make_channel();
  ask_waiting();
}

void Resolver::ask_waiting() {
  if (std::exchange(sending_, true)) return; // an answer came at once: the loop below goes on
  while (channel_ && !replacing_ && !waiting_.empty() && asked_ < queries_at_once) {
    auto pending = std::make_unique<Pending>(Pending{.resolver = this, .query = std::move(waiting_.front())});
    waiting_.pop_front();
    ++asked_;
    const NameQuery query = pending->query; // the callback may come at once
    channel_->ask(pending.release(), query, [](void* data, int status, int, ares_addrinfo* found) {
      const std::unique_ptr<Pending> done{static_cast<Pending*>(data)};
      const std::unique_ptr<ares_addrinfo, void (*)(ares_addrinfo*)> result{found, ares_freeaddrinfo};
      done->resolver->on_answer(*done, status, found);
    });
  }
  sending_ = false;
}

void Resolver::on_answer(const Pending& pending, int status, void* found) {
  --asked_;
  if (!on_answer_) return;
  if (status == ARES_EDESTRUCTION) {
    waiting_.push_back(pending.query);
    return;
  }
  const Family family = pending.query.family;
  if (status == ARES_SUCCESS && found != nullptr)
    on_answer_(pending.query, answer_of(*static_cast<const ares_addrinfo*>(found), family));
  else
    on_answer_(pending.query, {.addresses = {}, .ttl = {}, .failure = failure_of(status, family)});
  ask_waiting();
}

} // namespace hanat
