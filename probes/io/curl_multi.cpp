// curl's callbacks for sockets and the timer.
#include "probes/io/curl_multi.hpp"

#include <csignal>
#include <mutex>
#include <new>
#include <stdexcept>

#include <fmt/format.h>

namespace hanat::probes {
namespace {

void prepare_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK)
      throw std::runtime_error(fmt::format("cannot initialize libcurl: {}", curl_easy_strerror(code)));
    // curl with NOSIGNAL leaves SIGPIPE to its caller, and OpenSSL writes to sockets that the server may have closed.
    struct sigaction action {};
    if (sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
      action.sa_handler = SIG_IGN;
      sigaction(SIGPIPE, &action, nullptr);
    }
  });
}

CurlTransfer* transfer_of(CURL* easy) {
  void* transfer = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
  return static_cast<CurlTransfer*>(transfer);
}

} // namespace

CurlMulti::CurlMulti(uv_loop_t* loop) : loop_(loop), timer_(make_timer(loop, this)), multi_((prepare_process(), curl_multi_init())) {
  if (!multi_) throw std::bad_alloc{};
  curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(
      multi_.get(), CURLMOPT_SOCKETFUNCTION, +[](CURL* easy, curl_socket_t socket, int what, void* self, void* poll) {
        return static_cast<CurlMulti*>(self)->on_socket(easy, socket, what, static_cast<Poll*>(poll));
      });
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(
      multi_.get(), CURLMOPT_TIMERFUNCTION,
      +[](CURLM*, long delay_ms, void* self) { return static_cast<CurlMulti*>(self)->on_timeout(delay_ms); });
}

CurlMulti::~CurlMulti() {
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, nullptr);
  multi_.reset(); // may still call on_socket() for sockets that it closes
}

void CurlMulti::add(CURL* easy, CurlTransfer& transfer) {
  curl_easy_setopt(easy, CURLOPT_PRIVATE, static_cast<void*>(&transfer));
  if (const CURLMcode code = curl_multi_add_handle(multi_.get(), easy); code != CURLM_OK)
    throw std::runtime_error(curl_multi_strerror(code));
}

void CurlMulti::remove(CURL* easy) { curl_multi_remove_handle(multi_.get(), easy); }

void CurlMulti::set_connections(std::size_t count) { curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(count)); }

/// `poll` is what curl_multi_assign() attached to the socket: our poll handle, or null.
int CurlMulti::on_socket(CURL* easy, curl_socket_t socket, int what, Poll* poll) {
  if (what == CURL_POLL_REMOVE) {
    std::default_delete<Poll>{}(poll);
    curl_multi_assign(multi_.get(), socket, nullptr);
    return 0;
  }
  CurlTransfer* const transfer = transfer_of(easy);
  if (transfer != nullptr) transfer->on_attempt();
  if (poll == nullptr) {
    int error = 0;
    auto made = std::make_unique<Poll>(try_poll(loop_, socket, error));
    if (!*made) {
      if (transfer != nullptr) transfer->on_unwatched(-error);
      return 0; // not watched: it ends at its deadline, as a local failure
    }
    (*made)->data = this;
    poll = made.release();
    curl_multi_assign(multi_.get(), socket, poll);
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(poll->get(), events, &CurlMulti::on_ready);
  return 0;
}

void CurlMulti::on_ready(uv_poll_t* poll, int status, int ready) {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(poll), &fd);
  int events = ((ready & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) | ((ready & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
  if (status < 0) {
    // The socket has an error, and libuv stops watching it. Passed "error", curl would not read the errno; reading and writing, it does.
    uv_poll_start(poll, UV_READABLE, &CurlMulti::on_ready);
    events = CURL_CSELECT_IN | CURL_CSELECT_OUT;
  }
  static_cast<CurlMulti*>(poll->data)->act(fd, events);
}

int CurlMulti::on_timeout(long delay_ms) {
  if (delay_ms < 0)
    uv_timer_stop(timer_.get());
  else
    start_at(*timer_, Clock::now() + std::chrono::milliseconds{delay_ms},
             [](uv_timer_t* due) { static_cast<CurlMulti*>(due->data)->act(CURL_SOCKET_TIMEOUT, 0); });
  return 0;
}

void CurlMulti::act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_.get(), socket, events, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    if (CurlTransfer* transfer = transfer_of(message->easy_handle)) transfer->on_done(code);
  }
}

} // namespace hanat::probes
