// Signals are read from a descriptor like everything else: nothing runs in the middle of something else.
#include "cli/top/loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/top/draw.hpp"
#include "cli/top/keys.hpp"
#include "cli/top/terminal.hpp"
#include "nat/fd.hpp"

namespace hanat::cli::top {
namespace {

using Monotonic = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds pause_between_mails{100}; // events may come by the thousand; keys are answered at once
constexpr std::chrono::seconds tick{1};          // the clock, countdowns
constexpr milliseconds time_to_read{300};        // a question; text that is pasted by mistake answers none

/// Signals that come as bytes, in this thread and those that it starts; as before at the end.
class Signals {
public:
  Signals() {
    sigemptyset(&ours_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT}) sigaddset(&ours_, number);
    pthread_sigmask(SIG_BLOCK, &ours_, &before_);
    fd_ = Fd{signalfd(-1, &ours_, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (fd_) return;
    const int error = errno;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    throw std::system_error(error, std::generic_category(), "signalfd");
  }
  ~Signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_.get(); }
  /// 0: none came.
  int next() const {
    signalfd_siginfo info{};
    return read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }
  /// Stops as the shell expects it, until SIGCONT.
  static void stop() {
    sigset_t stopping;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGTSTP);
    std::signal(SIGTSTP, SIG_DFL); // ncurses has a handler of its own
    std::raise(SIGTSTP);           // it waits, as it is blocked
    pthread_sigmask(SIG_UNBLOCK, &stopping, nullptr);
    pthread_sigmask(SIG_BLOCK, &stopping, nullptr);
  }

private:
  sigset_t ours_{}, before_{};
  Fd fd_;
};

class Loop {
public:
  Loop(const std::string& socket, const Texts& texts, bool colour) : terminal_(colour), connection_(socket, texts) {
    picture_.utf8 = terminal_.utf8();
  }

  /// The signal that ended it, 0: a key.
  int run() {
    while (!over_) {
      if (Monotonic::now() >= draw_at_) draw_now();
      wait();
    }
    terminal_.leave(); // at once, whatever the threads still wait for
    return signal_;
  }

private:
  void draw_now() {
    terminal_.show(draw(picture_, terminal_.size(), wall_now()));
    std::vector<std::string> names;
    for (const Row* row : picture_.list.view(picture_.page).rows) names.push_back(row->name);
    connection_.set_visible(std::move(names));
    drawn_at_ = Monotonic::now();
    draw_at_ = drawn_at_ + tick;
  }

  void wait() {
    std::array<pollfd, 3> waiting{pollfd{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = signals_.fd(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = connection_.fd(), .events = POLLIN, .revents = 0}};
    const auto left = std::chrono::ceil<milliseconds>(draw_at_ - Monotonic::now()).count();
    if (poll(waiting.data(), waiting.size(), static_cast<int>(std::max<std::int64_t>(left, 0))) <= 0) return;
    if (waiting[1].revents != 0) take_signals();
    if (waiting[0].revents != 0) take_keys();
    if ((waiting[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) end(SIGHUP); // the terminal is gone
    if (waiting[2].revents != 0) take_mail();
  }

  void end(int signal) {
    over_ = true;
    signal_ = signal;
  }

  void take_signals() {
    for (int number = signals_.next(); number != 0; number = signals_.next()) {
      if (number == SIGWINCH) {
        terminal_.resize();
      } else if (number == SIGTSTP) {
        terminal_.leave();
        Signals::stop();
        terminal_.resize(); // it may have another size since
      } else if (number != SIGCONT) {
        return end(number);
      }
      draw_at_ = {};
    }
  }

  void take_keys() {
    while (const auto key = terminal_.read()) {
      if (Monotonic::now() < unread_until_) continue;
      const Action action = press(picture_, *key);
      if (std::holds_alternative<Quit>(action)) return end(0);
      if (const auto* const count = std::get_if<CountOf>(&action)) {
        connection_.ask(*count);
        unread_until_ = Monotonic::now() + time_to_read;
      }
      if (const auto* const change = std::get_if<Change>(&action)) connection_.ask(*change);
      draw_at_ = {};
    }
  }

  void take_mail() {
    for (Mail& mail : connection_.take()) std::visit([this](auto& one) { take(one); }, mail);
    draw_at_ = std::min(draw_at_, std::max(Monotonic::now(), drawn_at_ + pause_between_mails));
  }
  void take(Heard& heard) {
    picture_.head = std::move(heard.head);
    picture_.heard = wall_now();
    picture_.lost.clear();
    if (heard.all)
      picture_.list.replace(std::move(heard.rows));
    else
      picture_.list.update(std::move(heard.rows));
    for (const std::string& name : heard.gone) picture_.list.remove(name);
  }
  void take(HeardEvents& heard) { add_events(picture_, std::move(heard.events), heard.instead); }
  void take(const Lost& lost) { picture_.lost = lost.why; }
  void take(const Standing& standing) { take_standing(picture_, standing); }
  void take(Answer& answer) { take_answer(picture_, std::move(answer)); }

  Signals signals_; // before there are threads
  Terminal terminal_;
  Connection connection_;
  Picture picture_;
  Monotonic::time_point draw_at_{}, drawn_at_{};
  Monotonic::time_point unread_until_{}; // keys until then are for nothing
  bool over_ = false;
  int signal_ = 0;
};

} // namespace

int run(const std::string& socket, const Texts& texts, bool colour) { return Loop{socket, texts, colour}.run(); }

} // namespace hanat::cli::top
