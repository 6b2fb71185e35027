// Traces a client of the Lab while it sends something. Not here: what is found (tracer_test).
#pragma once

#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <uv.h>

#include "daemon/doctor/culprit.hpp"
#include "daemon/doctor/tracer.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

inline Vip traced_vip(Family family = Family::ipv4, std::uint16_t port = 443, Protocol protocol = Protocol::tcp) {
  return {.address = Lab::vip(port, family).address, .protocol = protocol, .port = port};
}

struct TraceSetup {
  Host client = Host::client;
  Address address{}; // the client's; unspecified: that of the Lab
  Vip vip = traced_vip();
  milliseconds limit{3000};
  std::string table = "hanat";
};

/// Runs a tracer on the gateway; `send` runs beside it, once packets are traced.
inline TraceResult trace_on_gateway(Lab& lab, const TraceSetup& setup, const std::function<void()>& send) {
  std::promise<void> ready;
  std::thread sender{[&] {
    ready.get_future().wait();
    send();
  }};
  TraceResult result;
  lab.in(Host::gateway, [&] {
    uv_loop_t loop{};
    uv_loop_init(&loop);
    bool is_ready = false;
    {
      Tracer tracer{&loop, setup.table};
      const Address client = setup.address.is_unspecified() ? Lab::address(setup.client, setup.vip.address.family()) : setup.address;
      tracer.start(
          {.traced = {client, setup.vip}, .limit = setup.limit}, [&](TraceResult done) { result = std::move(done); },
          [&] { is_ready = true, ready.set_value(); });
      uv_run(&loop, UV_RUN_DEFAULT);
    }
    if (!is_ready) ready.set_value();
    uv_run(&loop, UV_RUN_DEFAULT); // frees the handle
    uv_loop_close(&loop);
  });
  sender.join();
  return result;
}

/// The same with one connect of a client, whose result is left out.
inline TraceResult trace_connect(Lab& lab, const TraceSetup& setup = {}, milliseconds patience = milliseconds{400}) {
  return trace_on_gateway(lab, setup, [&] { connect_once(lab, setup.client, {setup.vip.address, setup.vip.port}, patience); });
}

/// What a failed expectation prints.
inline std::string trace_text(const std::vector<TracedPacket>& packets) {
  std::string text;
  for (const TracedPacket& packet : packets) {
    text += packet.reply ? "reply\n" : "request\n";
    for (const nat::TraceStep& step : packet.steps)
      text += fmt::format("  {} {} {} kind {} handle {} verdict {} {} {}>{} {}\n", to_text(step.family), step.table, step.chain,
                          static_cast<int>(step.kind), step.rule_handle, static_cast<int>(step.verdict), step.target, step.iif, step.oif,
                          step.header ? to_text(step.header->from) + " to " + to_text(step.header->to) : "");
  }
  return text;
}

inline TraceContext web_context(const Vip& vip = traced_vip(), Host client = Host::client) {
  const Family family = vip.address.family();
  return {.service = "web",
          .traced = {Lab::address(client, family), vip},
          .servers = {Lab::endpoint(Host::primary, 8443, family), Lab::endpoint(Host::backup, 8443, family)},
          .table = "hanat"};
}

} // namespace hanat::test
