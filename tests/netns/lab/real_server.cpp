// Started by a shell, which becomes the server.
#include "tests/netns/lab/real_server.hpp"

#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/probe_targets.hpp"

namespace hanat::test {

using namespace std::chrono_literals;

RealServer::RealServer(const TempFolder& folder, const std::string& command)
    : log_{open(folder.file("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)},
      process_{{"sh", "-c", "exec " + command}, log_, log_} {}

RealServer::~RealServer() { close(log_); }

void RealServer::stop(int signal) {
  process_.signal(signal);
  EXPECT_TRUE(process_.wait(10s)) << "it does not stop";
}

std::string reason_text(const probes::ProbeResult& result) {
  return std::string{to_text(result.reason)} + (result.detail.empty() ? "" : ": " + result.detail);
}

std::string reason_of(const probes::Probe& probe) { return reason_text(probe_once(probe)); }

testing::AssertionResult becomes(const probes::Probe& probe, const std::string& text) {
  Probing probing;
  probing.scheduler->add(probe, {.interval = 20ms}, 0s);
  const auto last = [&] { return probing.results.empty() ? "no result at all" : reason_text(probing.results.back().result); };
  if (probing.run_until([&] { return last() == text; }, 60s)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << last();
}

testing::AssertionResult comes_up(const probes::Probe& probe) { return becomes(probe, "answered"); }

probes::Probe configured_probe(std::uint16_t port, const std::string& keys) {
  const auto result = parse_config(fmt::format("[service.s]\nlisten = \"203.0.113.1:443/tcp\"\nprimary = \"10.0.0.11:{}\"\n"
                                               "down = {{ fails = 1, within = \"20s\" }}\nprobe = {{ timeout = \"5s\", {} }}\n",
                                               port, keys),
                                   "hanat.toml");
  if (const auto* errors = std::get_if<std::vector<ConfigError>>(&result)) throw std::runtime_error(to_text(errors->front()));
  const ServiceConfig& service = std::get<Config>(result).services.front();
  probes::Probe probe = probes_for(service, service.servers.front()).front();
  probe.server.address = *Address::parse("127.0.0.1"); // which no service can have
  return probe;
}

} // namespace hanat::test
