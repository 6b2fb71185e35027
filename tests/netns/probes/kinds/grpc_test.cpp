// Kind grpc with a real gRPC server, and with servers that are none. Not here: frames (unit tests of kinds/grpc_answer).
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Kind;
using probes::Outcome;
using probes::ProbeResult;
using probes::Reason;

constexpr const char* health_server = R"(
import sys, grpc
from concurrent import futures

def check(request, context):
    if request == b'': return b'\x08\x01'
    if request == b'\x0a\x04sick': return b'\x08\x02'
    context.abort(grpc.StatusCode.NOT_FOUND, 'no such service')

class Health(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == '/grpc.health.v1.Health/Check': return grpc.unary_unary_rpc_method_handler(check)

class Nothing(grpc.GenericRpcHandler):
    def service(self, details): return None

def serve(handler, port, credentials=None):
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    if credentials: server.add_secure_port(f'127.0.0.1:{port}', credentials)
    else: server.add_insecure_port(f'127.0.0.1:{port}')
    server.start()
    return server

read = lambda name: open(sys.argv[1] + '/' + name, 'rb').read()
tls = grpc.ssl_server_credentials([(read('key.pem'), read('cert.pem'))])
servers = [serve(Nothing(), 50053), serve(Health(), 50052, tls), serve(Health(), 50051)]
servers[-1].wait_for_termination()
)";

/// On 127.0.0.1: health on 50051 and, with TLS, 50052; on 50053 gRPC without a health service.
class GrpcServer {
public:
  GrpcServer() {
    folder_.write("server.py", health_server);
    shell(fmt::format("cd {} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem "
                      "-subj /CN=grpc.example "
                      "2>/dev/null",
                      folder_.path().string()));
    process_.emplace(std::vector<std::string>{"/usr/bin/python3", // Debian's own, which has its gRPC
                                              folder_.file("server.py"), folder_.path().string()},
                     -1, -1);
    Probing probing;
    probing.scheduler->add(tcp_probe(at("127.0.0.1", 50051)), {.interval = 20ms}, 0s);
    if (!probing.run_until([&] { return !probing.results.empty() && probing.results.back().result.outcome == Outcome::pass; }, 60s))
      throw std::runtime_error("the gRPC server does not listen");
  }

private:
  TempFolder folder_;
  std::optional<Process> process_;
};

probes::Probe grpc_probe(const Endpoint& server, const char* service = "", std::chrono::milliseconds timeout = 2s) {
  auto probe = tcp_probe(server, timeout);
  probe.spec.kind = Kind::grpc;
  probe.spec.edit<probes::GrpcSpec>().service = service;
  return probe;
}

TEST(ProbeGrpc, ARealServerResponds) {
  isolated([] {
    const GrpcServer server;
    const auto check = [](std::uint16_t port, const char* service = "", bool tls = false, bool verify = false) {
      auto probe = grpc_probe(at("127.0.0.1", port), service);
      probe.spec.edit<probes::GrpcSpec>().tls = tls;
      probe.spec.edit<probes::GrpcSpec>().verify = verify;
      return probe_once(probe);
    };
    const ProbeResult well = check(50051);
    EXPECT_EQ(well.reason, Reason::answered) << to_text(well.reason) << well.detail;
    EXPECT_EQ(check(50051, "sick").detail, "NOT_SERVING");
    const ProbeResult unknown = check(50051, "other");
    EXPECT_EQ(unknown.reason, Reason::wrong_answer);
    EXPECT_EQ(unknown.detail, "NOT_FOUND: no such service");
    EXPECT_EQ(check(50053).detail, "UNIMPLEMENTED: Method not found!");

    const ProbeResult tls = check(50052, "", true);
    EXPECT_EQ(tls.reason, Reason::answered) << to_text(tls.reason) << tls.detail;
    EXPECT_EQ(check(50052, "", true, true).reason, Reason::tls_failed); // its certificate is self-signed
    EXPECT_EQ(check(50051, "", true).reason, Reason::tls_failed);
    EXPECT_EQ(check(50052).outcome, Outcome::fail); // it requires TLS

    Probing probing; // reused connections
    auto probe = grpc_probe(at("127.0.0.1", 50052));
    probe.spec.edit<probes::GrpcSpec>().tls = true;
    probing.scheduler->add(probe, {.interval = 10ms}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 5; }));
    for (const auto& received : probing.results) EXPECT_EQ(received.result.reason, Reason::answered) << received.result.detail;
    shell("ss -Htn state established dport = :50052 | wc -l | grep -qx 1");
  });
}

TEST(ProbeGrpc, OtherServersFail) {
  isolated([] {
    EXPECT_EQ(probe_once(grpc_probe(at("127.0.0.1", 9))).reason, Reason::refused);
    const auto of = [](const ScriptedServer::Serve& serve) {
      ScriptedServer server{serve};
      return probe_once(grpc_probe(server.endpoint(), "", 200ms));
    };
    EXPECT_EQ(of([](Client& client) { client.hold(); }).reason, Reason::timeout);
    const ProbeResult web = of([](Client& client) {
      client.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
      client.hold();
    });
    EXPECT_EQ(web.reason, Reason::closed); // as libcurl reports it
    EXPECT_EQ(web.detail, "no HTTP/2 response");
    const ProbeResult noise_only = of([](Client& client) {
      client.send(std::string(1000, '\xff'));
      client.hold();
    });
    EXPECT_EQ(noise_only.outcome, Outcome::fail) << to_text(noise_only.reason);
    EXPECT_EQ(of([](Client&) {}).outcome, Outcome::fail);
    EXPECT_EQ(of([](Client& client) { client.close_with_reset(); }).outcome, Outcome::fail);
    const ProbeResult endless = of([](Client& client) { // SETTINGS forever
      const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
      while (client.send(settings)) {
      }
    });
    EXPECT_EQ(endless.outcome, Outcome::fail) << to_text(endless.reason);
  });
}

} // namespace
} // namespace hanat::test
