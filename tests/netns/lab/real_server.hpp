// A server program from a Debian package, in the calling thread's namespace, and what a probe of it says.
// Not here: servers that the tests play themselves (scripted).
#pragma once

#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {

inline constexpr const char* as_nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups ";
inline constexpr const char* pg_bin = "/usr/lib/postgresql/15/bin";

/// A server that logs into its folder; stopped by its pid.
class RealServer {
public:
  RealServer(const TempFolder& folder, const std::string& command);
  ~RealServer();
  RealServer(const RealServer&) = delete;
  RealServer& operator=(const RealServer&) = delete;

  void stop(int signal = SIGTERM);
  const Process& process() const { return process_; }

private:
  int log_;
  Process process_;
};

/// "wrong-answer: role is slave"
std::string reason_text(const probes::ProbeResult& result);
std::string reason_of(const probes::Probe& probe);
/// Probes until this is the result.
testing::AssertionResult becomes(const probes::Probe& probe, const std::string& text);
testing::AssertionResult comes_up(const probes::Probe& probe);

/// The probe of 127.0.0.1:`port` whose keys a configuration has: "type = ...". Throws with the errors of the configuration.
probes::Probe configured_probe(std::uint16_t port, const std::string& keys);

} // namespace hanat::test
