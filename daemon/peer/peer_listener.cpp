// Exchanges that wait, answered by a change or by the end of their time.
#include "daemon/peer/peer_listener.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>
#include <vector>

#include "probes/io/uv.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_wait = 1s;                              // then an unchanged page says that this gateway lives
constexpr unsigned most_connections = 8;                       // the other gateway has one or two
constexpr std::size_t longest_command = std::size_t{64} << 10; // bytes
constexpr unsigned bad_request = 400, not_found = 404, method_not_allowed = 405;

std::optional<std::uint64_t> number_in(const std::optional<std::string>& text) {
  std::uint64_t number = 0;
  if (!text) return 0;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (code != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return number;
}

} // namespace

struct PeerListener::Impl {
  struct Waiting {
    std::shared_ptr<HttpExchange> exchange;
    std::uint64_t after = 0;
    std::string instance;
    Time until{};
  };

  Impl(uv_loop_t* loop, const PeerConfig& config, const PeerFeed& from, OnCommand on_command, std::function<void(std::string)> refused)
      : feed(from), command(std::move(on_command)), timer(make_timer(loop, this)) {
    HttpOptions options{.connections = most_connections,
                        .longest_body = longest_command,
                        .only_from = config.peer.address,
                        .on_refused = std::move(refused)};
    if (const auto& tls = config.tls) options.tls = HttpTls{.ca = tls->ca_pem, .cert = tls->cert_pem, .key = tls->key_pem};
    server.emplace(
        loop, config.listen, [this](const std::shared_ptr<HttpExchange>& exchange) { respond(exchange); }, std::move(options));
  }

  void respond(const std::shared_ptr<HttpExchange>& exchange) {
    if (exchange->path() == "/pair/command") {
      if (exchange->method() != "POST") return exchange->reply({.status = method_not_allowed, .body = "only POST is allowed\n"});
      return command(exchange->body(), [exchange](HttpReply reply) { exchange->reply(std::move(reply)); });
    }
    if (exchange->path() != "/pair") return exchange->reply({.status = not_found, .body = "the pair's page is at /pair\n"});
    if (exchange->method() != "GET") return exchange->reply({.status = method_not_allowed, .body = "only GET is allowed\n"});
    const auto after = number_in(exchange->argument("after"));
    if (!after) return exchange->reply({.status = bad_request, .body = "after is not a number\n"});
    Waiting asked{.exchange = exchange,
                  .after = *after,
                  .instance = exchange->argument("instance").value_or(""),
                  .until = Clock::now() + longest_wait};
    if (feed.is_new(asked.after, asked.instance)) return answer(asked);
    waiting.push_back(std::move(asked));
    set_timer();
  }

  void answer(const Waiting& asked) const {
    const Time now = Clock::now();
    const WallTime wall = wall_now();
    asked.exchange->reply({.body = to_json_text(feed.page(asked.after, asked.instance, now, wall), now, wall), .type = "application/json"});
  }

  /// Answers those for whom there is news, and those who have waited long enough.
  void run() {
    const Time now = Clock::now();
    for (Waiting& asked : std::exchange(waiting, {}))
      if (asked.until <= now || feed.is_new(asked.after, asked.instance))
        answer(asked);
      else if (!asked.exchange->is_over())
        waiting.push_back(std::move(asked));
    set_timer();
  }

  void set_timer() {
    if (waiting.empty()) return;
    const auto first = std::ranges::min_element(waiting, {}, &Waiting::until);
    probes::start_at(*timer, first->until, [](uv_timer_t* due) { static_cast<Impl*>(due->data)->run(); });
  }

  const PeerFeed& feed;
  OnCommand command;
  std::vector<Waiting> waiting;
  UvHandle<uv_timer_t> timer;
  std::optional<HttpServer> server;
};

PeerListener::PeerListener(uv_loop_t* loop, const PeerConfig& config, const PeerFeed& feed, OnCommand command,
                           std::function<void(std::string)> refused)
    : impl_(std::make_unique<Impl>(loop, config, feed, std::move(command), std::move(refused))) {}
PeerListener::~PeerListener() = default;
void PeerListener::wake() { impl_->run(); }

} // namespace hanat
