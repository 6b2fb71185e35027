// The daemon under test: started on a Lab's gateway with a configuration, a socket and a state directory of its own, talked to, killed.
// Not here: the network (lab), who answers clients (peers).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/status.hpp"
#include "tests/netns/lab/lab.hpp"

namespace hanat::test {

struct HanatdOptions {
  std::vector<std::string> arguments = {}; // beside --config, --socket, --state
  bool start = true;                       // false: the test calls start() or launch()
  std::chrono::milliseconds ready{10000};
  Host host = Host::gateway;
  std::filesystem::path state = {};     // empty: a directory of its own
  std::vector<std::string> before = {}; // words before the program's: {"env", "NAME=value"}
};

/// The programs of this build, or those in the folder that HANAT_PROGRAMS names: another build's, with a sanitizer of its own
/// (tests/run.sh).
std::string hanatd_program();
std::string hanatctl_program();

class Hanatd {
public:
  /// Writes the configuration, starts the daemon and waits until it answers at its socket. Throws std::runtime_error with the daemon's log
  /// when it ends or stays silent.
  Hanatd(Lab& lab, const std::string& config, HanatdOptions options = {});
  ~Hanatd();
  Hanatd(const Hanatd&) = delete;
  Hanatd& operator=(const Hanatd&) = delete;

  /// Starts it and waits until it answers.
  void start();
  /// Starts it and waits for nothing.
  void launch();
  bool running() { return process_ && process_->running(); }
  pid_t pid() const { return process_ ? process_->pid() : -1; }
  /// SIGTERM; its exit status. Throws when it does not end.
  int stop(std::chrono::milliseconds deadline = std::chrono::seconds{10});
  /// The exit status of a daemon that ends by itself; nullopt: it runs on.
  std::optional<int> wait_exit(std::chrono::milliseconds deadline);
  void kill9();
  void signal(int number) const;
  /// stop() where it runs, and start().
  void restart();

  Status status() const;
  /// The first status that `wanted` accepts. Throws std::runtime_error with the last status and the log at the deadline.
  Status wait_for(const std::function<bool(const Status&)>& wanted, std::chrono::milliseconds deadline = std::chrono::seconds{5}) const;
  /// Until SERVICE's target is ROLE ("primary", "backup", "none") and the kernel is in step.
  Status wait_target(const std::string& service, const std::string& role,
                     std::chrono::milliseconds deadline = std::chrono::seconds{5}) const;
  /// hanatctl with these arguments, at this daemon's socket.
  Output ctl(const std::vector<std::string>& arguments, std::chrono::milliseconds deadline = std::chrono::seconds{20}) const;
  /// Writes the configuration file anew, without telling the daemon.
  void write_config(const std::string& text) const;
  /// write_config() and `hanatctl reload`.
  Output reload(const std::string& text) const;

  /// What it has written to stderr, all of its runs, once it has written nothing for a moment: a thread of its own writes it, after the
  /// event.
  std::string log() const;
  std::string socket() const { return (directory_ / "control.sock").string(); }
  std::filesystem::path config() const { return directory_ / "hanat.toml"; }
  std::filesystem::path state() const { return options_.state.empty() ? directory_ / "state" : options_.state; }

private:
  void wait_ready();

  Lab& lab_;
  HanatdOptions options_;
  std::filesystem::path directory_;
  std::optional<Process> process_;
};

/// The service of that name; throws std::out_of_range when the status has none.
const ServiceStatus& service(const Status& status, std::string_view name);
/// Until the service "web" is at its primary, and that and the backup are up.
void wait_both_up(const Hanatd& hanatd);
/// Until it has said how it cuts flows: from then on it asks conntrack for a cut alone, or to audit it.
void wait_filters_proven(const Hanatd& hanatd);
/// The server of that role ("primary", "backup2").
const ServerStatus& server(const ServiceStatus& service, std::string_view role);
/// The steady clock's moment of a text of the wall clock's. The text has whole milliseconds, cut off: up to one early.
std::chrono::steady_clock::time_point moment_of(const std::string& text);

} // namespace hanat::test
