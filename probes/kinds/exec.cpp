// A thread starts the program, a pipe takes its output, and a pidfd reports its exit.
#include "probes/kinds/exec.hpp"

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

#include "probes/io/probe_deadline.hpp"
#include "probes/io/timers.hpp"
#include "probes/io/uv.hpp"
#include "probes/kinds/exec_answer.hpp"
#include "probes/kinds/exec_orphans.hpp"
#include "probes/kinds/exec_spawn.hpp"

namespace hanat::probes {
namespace {

constexpr auto by_pidfd = static_cast<idtype_t>(3); // P_PIDFD, since Linux 5.4; older libc headers lack it
constexpr std::size_t read_bytes = 4'096;
constexpr int reads_per_turn = 16;                   // of the loop
constexpr std::chrono::milliseconds final_wait{100}; // in the destructor, for the programs just killed

class PendingExec;

/// A program that runs, until it is reaped. Its process group has its pid, which is not reused before that.
struct Program {
  StartedProgram started{};
  Poll exit_poll{};               // of the pidfd
  PendingExec* pending = nullptr; // null: the probe was cancelled
  Exec::Impl* owner = nullptr;

  void kill_group() const { kill(-started.pid, SIGKILL); }
};

/// For fork(), EAGAIN means too many processes.
ProbeResult not_started(int error, Clock::duration latency) {
  if (error != EAGAIN) return result_from_errno(error, latency);
  return inconclusive_result(Reason::no_processes, latency, "this machine allows no more processes");
}

/// Waits for a killed program until a deadline: one that hangs in the kernel is left to init.
void reap(const StartedProgram& program, Clock::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd exited{.fd = program.pidfd.get(), .events = POLLIN, .revents = 0};
  poll(&exited, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
  waitpid(program.pid, nullptr, WNOHANG);
  orphans().forget(program.pid);
}

} // namespace

struct Exec::Impl {
  explicit Impl(Timers& on) : timers(on), spawner(on.loop(), [this](StartedProgram program) { on_started(std::move(program)); }) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void on_started(StartedProgram started);
  static void on_exit(Program& program);

  Timers& timers;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, PendingExec*> starting; // null: the probe was cancelled
  std::map<std::uint64_t, Program> programs;
  Spawner spawner;
};

namespace {

class PendingExec final : public PendingProbe {
public:
  PendingExec(Exec::Impl& exec, const Probe& probe, Clock::time_point start, Fd output, Poll readable, OnResult on_result)
      : PendingProbe(start, std::move(on_result)), exec_(exec), probe_(probe), id_(++exec.last_id), output_(std::move(output)),
        readable_(std::move(readable)), deadline_(exec.timers, start, probe.spec.timeout, [this] { expire(); }) {
    readable_->data = this;
    exec_.starting.emplace(id_, this);
    uv_poll_start(readable_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) { static_cast<PendingExec*>(poll->data)->on_output(); });
  }
  ~PendingExec() override {
    if (const auto found = exec_.starting.find(id_); found != exec_.starting.end()) found->second = nullptr;
    if (program_ == nullptr) return;
    program_->pending = nullptr;
    program_->kill_group();
  }

  std::uint64_t id() const { return id_; }
  void on_started(Program& program) {
    program_ = &program;
    program.pending = this;
  }
  void on_start_failed(int error) { finish(not_started(error, elapsed())); }
  /// Something else reaped the program: its exit status is lost.
  void on_status_lost(int error) {
    program_ = nullptr;
    finish(not_started(error, elapsed()));
  }
  /// The program exited by itself and is reaped.
  void on_exited(bool exited, int status) {
    const auto now = Clock::now();
    program_ = nullptr;
    read_output();
    finish(deadline_.checked(result_from_exit(probe_.spec, exited, status, text_, elapsed(now)), now));
  }

private:
  void expire() {
    if (program_ == nullptr) return finish(inconclusive_result(Reason::stalled, elapsed(), "the program was not started in time"));
    finish(fail_result(Reason::timeout, elapsed(), text_.first_line()));
  }
  void on_output() {
    read_output();
    if (text_.too_large()) finish(result_from_exit(probe_.spec, false, SIGKILL, text_, elapsed()));
  }
  void read_output() {
    std::array<char, read_bytes> piece{};
    for (int reads = 0; reads < reads_per_turn; ++reads) {
      const ssize_t count = read(output_.get(), piece.data(), piece.size());
      if (count < 0 && errno == EINTR) continue;
      if (count == 0) uv_poll_stop(readable_.get()); // the program has closed its output and still runs
      if (count <= 0 || !text_.add({piece.data(), static_cast<std::size_t>(count)})) return;
    }
  }

  Exec::Impl& exec_;
  const Probe& probe_;
  std::uint64_t id_;
  ExecOutput text_;
  Program* program_ = nullptr; // null: not started yet
  Fd output_;                  // declared before its poll handle, so closed after it
  Poll readable_;
  ProbeDeadline deadline_;
};

} // namespace

Exec::Impl::~Impl() {
  const auto unreported = spawner.stop();
  for (const auto& [id, program] : programs) program.kill_group();
  for (const StartedProgram& program : unreported)
    if (program.error == 0) kill(-program.pid, SIGKILL);
  const auto until = Clock::now() + final_wait;
  for (const auto& [id, program] : programs) reap(program.started, until);
  for (const StartedProgram& program : unreported)
    if (program.error == 0) reap(program, until);
}

void Exec::Impl::on_started(StartedProgram started) {
  const auto waiting = starting.extract(started.id);
  PendingExec* pending = waiting ? waiting.mapped() : nullptr;
  int error = started.error;
  Poll exit_poll = error == 0 ? try_poll(timers.loop(), started.pidfd.get(), error) : Poll{};
  if (!exit_poll) {
    if (started.error == 0) { // nothing would notice its exit
      kill(-started.pid, SIGKILL);
      waitpid(started.pid, nullptr, 0);
      spawner.ended(started.pid);
    }
    if (pending != nullptr) pending->on_start_failed(std::abs(error));
    return;
  }
  Program& program = programs.try_emplace(started.id).first->second;
  program.started = std::move(started);
  program.exit_poll = std::move(exit_poll);
  program.owner = this;
  program.exit_poll->data = &program;
  uv_poll_start(program.exit_poll.get(), UV_READABLE, [](uv_poll_t* poll, int, int) { on_exit(*static_cast<Program*>(poll->data)); });
  if (pending != nullptr)
    pending->on_started(program);
  else
    program.kill_group();
}

void Exec::Impl::on_exit(Program& program) {
  siginfo_t info{};
  const int error = waitid(by_pidfd, static_cast<id_t>(program.started.pidfd.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ? errno : 0;
  if (error == 0 && info.si_pid == 0) return;
  program.kill_group(); // the children it left, while the pid is not reused
  waitpid(program.started.pid, nullptr, 0);
  program.owner->spawner.ended(program.started.pid);
  PendingExec* pending = program.pending;
  program.owner->programs.erase(program.started.id);
  if (pending == nullptr) return;
  if (error != 0)
    pending->on_status_lost(error);
  else
    pending->on_exited(info.si_code == CLD_EXITED, info.si_status);
}

Exec::Exec(Timers& timers) : timers_(timers) {}
Exec::~Exec() = default;

StartResult Exec::start(const Probe& probe, OnResult on_result) {
  const auto start = Clock::now();
  const auto failed = [start](int error) { return result_from_errno(error, Clock::now() - start); };
  if (!impl_) try {
      impl_ = std::make_unique<Impl>(timers_);
    } catch (const std::system_error& failure) { // no thread
      return not_started(failure.code().value(), Clock::now() - start);
    }
  if (impl_->programs.size() + impl_->starting.size() >= max_programs)
    return inconclusive_result(Reason::no_processes, Clock::now() - start, fmt::format("{} programs are running", max_programs));
  const auto& command = probe.spec.of<ExecSpec>().command;
  if (command.empty()) return failed(EINVAL); // the configuration refuses this

  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return failed(errno);
  Fd output{ends[0]}, input{ends[1]};
  if (fcntl(output.get(), F_SETFL, O_NONBLOCK) != 0) return failed(errno); // our end alone: on a full pipe the program waits
  int error = 0;
  Poll readable = try_poll(timers_.loop(), output.get(), error);
  if (!readable) return failed(-error);
  auto pending = std::make_unique<PendingExec>(*impl_, probe, start, std::move(output), std::move(readable), std::move(on_result));
  impl_->spawner.start({.id = pending->id(),
                        .command = command,
                        .environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                        "HANAT_ADDRESS=" + probe.server.address.text(), fmt::format("HANAT_PORT={}", probe.server.port)},
                        .output = std::move(input)});
  return pending;
}

} // namespace hanat::probes
