// One of several machines that each run the same daemons: /run, /etc/keepalived, /etc/conntrackd and /var/log are its own, and so are its
// processes, which end together, as when the power fails. Its network is that of a Lab's host. Not here: what runs on it (pair_lab).
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/lab/lab.hpp"

namespace hanat::test {

class Machine {
public:
  Machine(Lab& lab, Host host);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void power_on();
  void power_off(); // its files stay
  /// The words before a program's that give it this machine's files; its pid stays that of the words. Good for later boots, too.
  std::vector<std::string> with_files() const;

  /// Starts a daemon that stays in the foreground. What it writes goes to the machine's log.
  void start(const std::string& name, const std::vector<std::string>& argv);
  /// SIGKILL to what start() started by that name.
  void kill(const std::string& name);
  /// Any other signal.
  void signal(const std::string& name, int number) const;
  /// With sh, on this machine.
  Output run(const std::string& command, std::chrono::milliseconds deadline = std::chrono::seconds{20}) const;

  /// As a path of the test: "/run/hanat" lies in file("/run/hanat").
  std::filesystem::path file(const std::string& path) const { return directory_.string() + path; }
  void write(const std::string& path, const std::string& text, bool executable = false) const;
  std::string read(const std::string& path) const;
  /// What its daemons wrote.
  std::string log() const { return read("/log"); }

private:
  std::vector<std::string> inside() const;
  Fd open_log() const;

  Lab& lab_;
  Host host_;
  std::filesystem::path directory_;
  std::optional<Process> init_;
  pid_t init_pid_ = -1;
  std::map<std::string, Process> started_;
};

} // namespace hanat::test
