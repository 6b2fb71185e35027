// Incidents, and a load through them.
#include "tests/netns/lab/incident.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace hanat::test {
namespace {

constexpr milliseconds before{500}; // of peace, under load

std::string answer_of(std::string& input, const std::string& name, int status) {
  const bool http = input.starts_with("GET ") || input.starts_with("HEAD ");
  const auto end = http ? input.find("\r\n\r\n") : input.find('\n');
  if (end == std::string::npos) return {};
  input.erase(0, end + (http ? 4 : 1));
  if (!http) return name + "\n";
  return fmt::format("HTTP/1.1 {} Word\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status, name.size(), name);
}

void let(Incident incident, bool happen, Lab& lab, MixedServer& server) {
  switch (incident) {
  case Incident::killed: return happen ? server.kill() : server.start();
  case Incident::hanging: return server.hang(happen);
  case Incident::link_cut: return lab.link(Host::primary, !happen);
  case Incident::silent: return lab.silent(Host::primary, happen);
  case Incident::sick: return server.status(happen ? 500 : 200);
  }
}

} // namespace

std::string_view to_text(Incident incident) {
  switch (incident) {
  case Incident::killed: return "process killed";
  case Incident::hanging: return "process stopped";
  case Incident::link_cut: return "link cut";
  case Incident::silent: return "server silent";
  case Incident::sick: return "service answers 500";
  }
  return "?";
}

MixedServer::MixedServer(Lab& lab, Host host, std::uint16_t port, const std::string& name)
    : MixedServer(lab, host, port, name, std::make_shared<std::atomic<int>>(200)) {}
MixedServer::MixedServer(Lab& lab, Host host, std::uint16_t port, const std::string& name, std::shared_ptr<std::atomic<int>> status)
    : StreamServer(lab, host, port, [name, status](std::string& input) { return answer_of(input, name, *status); }),
      status_(std::move(status)) {}

Seen meet(Lab& lab, MixedServer& primary, const Endpoint& vip, Incident incident, milliseconds span, const Verdict& verdict,
          unsigned per_second) {
  Load load{lab, Host::client, vip, {.per_second = per_second, .duration = before + span + milliseconds{60'000}}};
  std::this_thread::sleep_for(before);
  Seen seen{.load = {}, .began = TestClock::now(), .verdict = {}, .recovered = {}};
  let(incident, true, lab, primary);
  std::this_thread::sleep_for(span);
  seen.verdict = verdict();
  seen.load = load.stop();
  let(incident, false, lab, primary);
  for (const Connect& connect : seen.load.connects)
    if (connect.by == "backup") {
      const auto stood = connect.started + connect.connected;
      seen.recovered = std::min(seen.recovered.value_or(stood), stood);
    }
  return seen;
}

} // namespace hanat::test
