// The grpc kind against a real gRPC server, and servers that are none.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/probing.hpp"
#include "tests/netns/process.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Answer;
using probes::Kind;
using probes::Outcome;
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
    std::string name = (std::filesystem::temp_directory_path() / "hanat-grpc-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    std::ofstream{folder_ / "server.py"} << health_server;
    shell(fmt::format("cd {} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem "
                      "-subj /CN=grpc.example "
                      "2>/dev/null",
                      folder_.string()));
    process_.emplace(std::vector<std::string>{"/usr/bin/python3", // Debian's own, which has its gRPC
                                              (folder_ / "server.py").string(), folder_.string()},
                     -1, -1);
    Probing probing;
    probing.engine->add(tcp_question(at("127.0.0.1", 50051)), {.interval = 20ms}, 0s);
    if (!probing.run_until([&] { return !probing.heard.empty() && probing.heard.back().answer.outcome == Outcome::normal; }))
      throw std::runtime_error("the gRPC server does not listen");
  }
  ~GrpcServer() { std::filesystem::remove_all(folder_); }
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

private:
  std::filesystem::path folder_;
  std::optional<Process> process_;
};

probes::Question grpc_question(const Endpoint& server, const char* service = "", std::chrono::milliseconds timeout = 2s) {
  auto question = tcp_question(server, timeout);
  question.spec.kind = Kind::grpc;
  question.spec.edit<probes::GrpcSpec>().service = service;
  return question;
}

TEST(ProbeGrpc, ARealServerIsAsked) {
  isolated([] {
    const GrpcServer server;
    const auto ask_grpc = [](std::uint16_t port, const char* service = "", bool tls = false, bool verify = false) {
      auto question = grpc_question(at("127.0.0.1", port), service);
      question.spec.edit<probes::GrpcSpec>().tls = tls;
      question.spec.edit<probes::GrpcSpec>().verify = verify;
      return ask_once(question);
    };
    const Answer well = ask_grpc(50051);
    EXPECT_EQ(well.reason, Reason::answered) << to_text(well.reason) << well.detail;
    EXPECT_EQ(ask_grpc(50051, "sick").detail, "NOT_SERVING");
    const Answer unknown = ask_grpc(50051, "other");
    EXPECT_EQ(unknown.reason, Reason::wrong_answer);
    EXPECT_EQ(unknown.detail, "NOT_FOUND: no such service");
    EXPECT_EQ(ask_grpc(50053).detail, "UNIMPLEMENTED: Method not found!");

    const Answer tls = ask_grpc(50052, "", true);
    EXPECT_EQ(tls.reason, Reason::answered) << to_text(tls.reason) << tls.detail;
    EXPECT_EQ(ask_grpc(50052, "", true, true).reason, Reason::tls_failed); // its certificate is self-signed
    EXPECT_EQ(ask_grpc(50051, "", true).reason, Reason::tls_failed);
    EXPECT_EQ(ask_grpc(50052).outcome, Outcome::abnormal); // TLS is wanted

    Probing probing; // kept connections
    auto question = grpc_question(at("127.0.0.1", 50052));
    question.spec.edit<probes::GrpcSpec>().tls = true;
    probing.engine->add(question, {.interval = 10ms}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 5; }));
    for (const auto& heard : probing.heard) EXPECT_EQ(heard.answer.reason, Reason::answered) << heard.answer.detail;
    shell("ss -Htn state established dport = :50052 | wc -l | grep -qx 1");
  });
}

TEST(ProbeGrpc, WhoDoesNotSpeakItIsToldApart) {
  isolated([] {
    EXPECT_EQ(ask_once(grpc_question(at("127.0.0.1", 9))).reason, Reason::refused);
    const auto of = [](const ScriptedServer::Serve& serve) {
      ScriptedServer server{serve};
      return ask_once(grpc_question(server.endpoint(), "", 200ms));
    };
    EXPECT_EQ(of([](Client& client) { client.hold(); }).reason, Reason::timeout);
    const Answer web = of([](Client& client) {
      client.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
      client.hold();
    });
    EXPECT_EQ(web.reason, Reason::closed); // so libcurl tells it
    EXPECT_EQ(web.detail, "no HTTP/2 answer");
    const Answer noise_only = of([](Client& client) {
      client.send(std::string(1000, '\xff'));
      client.hold();
    });
    EXPECT_EQ(noise_only.outcome, Outcome::abnormal) << to_text(noise_only.reason);
    EXPECT_EQ(of([](Client&) {}).outcome, Outcome::abnormal);
    EXPECT_EQ(of([](Client& client) { client.leave_by_reset(); }).outcome, Outcome::abnormal);
    const Answer endless = of([](Client& client) { // SETTINGS for ever
      const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
      while (client.send(settings)) {
      }
    });
    EXPECT_EQ(endless.outcome, Outcome::abnormal) << to_text(endless.reason);
  });
}

} // namespace
} // namespace hanat::test
