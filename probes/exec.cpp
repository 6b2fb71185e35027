// A thread starts the program, a pipe takes what it writes, and a pidfd tells of its end.
#include "probes/exec.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/exec_answer.hpp"
#include "probes/exec_spawn.hpp"
#include "probes/loop.hpp"

namespace hanat::probes {
namespace {

constexpr auto by_pidfd = static_cast<idtype_t>(3); // P_PIDFD of Linux 5.4; older libc headers do not name it
constexpr std::size_t piece_bytes = 4'096;
constexpr int most_pieces = 16;                     // in one turn of the loop
constexpr std::chrono::milliseconds last_wait{100}; // at the end, for the programs just killed

class ExecAsking;

/// One program that runs, until it is gone. Its process group has its id, which nobody else gets before it is reaped.
struct Program {
  StartedProgram started{};
  Poll end{};                   // of the pidfd
  ExecAsking* asking = nullptr; // null: nobody waits for its answer any more
  Exec::Impl* owner = nullptr;

  void kill_group() const { kill(-started.pid, SIGKILL); }
};

/// EAGAIN is fork()'s word for too many of them.
Answer not_started(int error, Clock::duration latency) {
  if (error != EAGAIN) return answer_from_errno(error, latency);
  return {.outcome = Outcome::blind, .reason = Reason::no_processes, .latency = latency, .detail = "this machine allows no more"};
}

/// Waits for the end of a program that was killed, but not for long: one that hangs in the kernel is left to init.
void reap_at_last(const StartedProgram& program, Clock::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd ended{.fd = program.pidfd.fd(), .events = POLLIN, .revents = 0};
  poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
  waitpid(program.pid, nullptr, WNOHANG);
}

} // namespace

struct Exec::Impl {
  explicit Impl(uv_loop_t* uv_loop) : loop(uv_loop), spawner(uv_loop, [this](StartedProgram program) { on_started(std::move(program)); }) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void on_started(StartedProgram started);
  static void on_end(Program& program);

  uv_loop_t* loop;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, ExecAsking*> starting; // null: nobody waits for it any more
  std::map<std::uint64_t, Program> programs;
  Spawner spawner;
};

namespace {

class ExecAsking final : public Asking {
public:
  ExecAsking(Exec::Impl& exec, const Question& question, Clock::time_point start, Descriptor output, Poll readable, Done done)
      : exec_(exec), question_(question), start_(start), done_(std::move(done)), id_(++exec.last_id), output_(std::move(output)),
        readable_(std::move(readable)), deadline_(exec.loop, start, question.spec.timeout, [this] { expire(); }) {
    readable_->data = this;
    exec_.starting.emplace(id_, this);
    uv_poll_start(readable_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) { static_cast<ExecAsking*>(poll->data)->on_output(); });
  }
  ~ExecAsking() override {
    if (const auto found = exec_.starting.find(id_); found != exec_.starting.end()) found->second = nullptr;
    if (program_ == nullptr) return;
    program_->asking = nullptr;
    program_->kill_group();
  }

  std::uint64_t id() const { return id_; }
  void runs(Program& program) {
    program_ = &program;
    program.asking = this;
  }
  void failed(int error) { answer(not_started(error, Clock::now() - start_)); }
  void lost(int error) {
    program_ = nullptr;
    failed(error);
  }
  /// The program ended by itself, and is reaped.
  void ended(bool exited, int status) {
    const auto now = Clock::now();
    program_ = nullptr;
    read_output();
    Answer result = answer_from_exit(question_.spec, exited, status, text_, now - start_);
    // Seen after the deadline, because we stood still.
    if (deadline_.missed(now)) result = {.outcome = Outcome::blind, .reason = Reason::stalled, .latency = now - start_, .detail = {}};
    answer(result);
  }

private:
  void expire() {
    const auto latency = Clock::now() - start_;
    if (program_ == nullptr)
      return answer(
          {.outcome = Outcome::blind, .reason = Reason::stalled, .latency = latency, .detail = "the program has not begun to run"});
    answer({.outcome = Outcome::abnormal, .reason = Reason::timeout, .latency = latency, .detail = text_.first_line()});
  }
  void on_output() {
    read_output();
    if (text_.too_large()) answer(answer_from_exit(question_.spec, false, SIGKILL, text_, Clock::now() - start_));
  }
  void read_output() {
    std::array<char, piece_bytes> piece{};
    for (int reads = 0; reads < most_pieces; ++reads) {
      const ssize_t count = read(output_.fd(), piece.data(), piece.size());
      if (count < 0 && errno == EINTR) continue;
      if (count == 0) uv_poll_stop(readable_.get()); // it has closed its output; its end is still to come
      if (count <= 0 || !text_.add({piece.data(), static_cast<std::size_t>(count)})) return;
    }
  }
  void answer(const Answer& answer) {
    const auto done = std::move(done_);
    done(answer);
  }

  Exec::Impl& exec_;
  const Question& question_;
  Clock::time_point start_;
  Done done_;
  std::uint64_t id_;
  ExecOutput text_;
  Program* program_ = nullptr; // null: it has not begun to run
  Descriptor output_;          // declared before its watcher, and so closed after it
  Poll readable_;
  Deadline deadline_;
};

} // namespace

Exec::Impl::~Impl() {
  const auto unheard = spawner.stop();
  for (const auto& [id, program] : programs) program.kill_group();
  for (const StartedProgram& program : unheard)
    if (program.error == 0) kill(-program.pid, SIGKILL);
  const auto until = Clock::now() + last_wait;
  for (const auto& [id, program] : programs) reap_at_last(program.started, until);
  for (const StartedProgram& program : unheard)
    if (program.error == 0) reap_at_last(program, until);
}

void Exec::Impl::on_started(StartedProgram started) {
  const auto waiting = starting.extract(started.id);
  ExecAsking* asking = waiting ? waiting.mapped() : nullptr;
  int error = started.error;
  Poll end = error == 0 ? make_poll(loop, started.pidfd.fd(), nullptr, error) : Poll{};
  if (!end) {
    if (started.error == 0) { // unwatched it would be lost
      kill(-started.pid, SIGKILL);
      waitpid(started.pid, nullptr, 0);
    }
    if (asking != nullptr) asking->failed(std::abs(error));
    return;
  }
  Program& program = programs.try_emplace(started.id).first->second;
  program.started = std::move(started);
  program.end = std::move(end);
  program.owner = this;
  program.end->data = &program;
  uv_poll_start(program.end.get(), UV_READABLE, [](uv_poll_t* poll, int, int) { on_end(*static_cast<Program*>(poll->data)); });
  if (asking != nullptr)
    asking->runs(program);
  else
    program.kill_group();
}

void Exec::Impl::on_end(Program& program) {
  siginfo_t end{};
  const int error = waitid(by_pidfd, static_cast<id_t>(program.started.pidfd.fd()), &end, WEXITED | WNOHANG | WNOWAIT) != 0 ? errno : 0;
  if (error == 0 && end.si_pid == 0) return;
  program.kill_group(); // what it left behind, as long as its id is its own
  waitpid(program.started.pid, nullptr, 0);
  ExecAsking* asking = program.asking;
  program.owner->programs.erase(program.started.id);
  if (asking == nullptr) return;
  if (error != 0) // somebody else reaped it: nobody knows how it ended
    asking->lost(error);
  else
    asking->ended(end.si_code == CLD_EXITED, end.si_status);
}

Exec::Exec(uv_loop_t* loop) : loop_(loop) {}
Exec::~Exec() = default;

Asked Exec::ask(const Question& question, Done done) {
  const auto start = Clock::now();
  const auto failed = [start](int error) { return answer_from_errno(error, Clock::now() - start); };
  if (!impl_) try {
      impl_ = std::make_unique<Impl>(loop_);
    } catch (const std::system_error& failure) { // no thread
      return not_started(failure.code().value(), Clock::now() - start);
    }
  if (impl_->programs.size() + impl_->starting.size() >= most_programs)
    return Answer{.outcome = Outcome::blind,
                  .reason = Reason::no_processes,
                  .latency = Clock::now() - start,
                  .detail = fmt::format("{} programs are running", most_programs)};
  const auto& command = question.spec.of<ExecSpec>().command;
  if (command.empty()) return failed(EINVAL); // refused by the configuration

  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return failed(errno);
  Descriptor output{ends[0]}, input{ends[1]};
  if (fcntl(output.fd(), F_SETFL, O_NONBLOCK) != 0) return failed(errno); // our end alone: a full pipe makes the program wait
  int error = 0;
  Poll readable = make_poll(impl_->loop, output.fd(), nullptr, error);
  if (!readable) return failed(-error);
  auto asking = std::make_unique<ExecAsking>(*impl_, question, start, std::move(output), std::move(readable), std::move(done));
  impl_->spawner.start(
      {.id = asking->id(),
       .command = command,
       .environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       "HANAT_ADDRESS=" + question.server.address.text(), fmt::format("HANAT_PORT={}", question.server.port)},
       .output = std::move(input)});
  return asking;
}

} // namespace hanat::probes
