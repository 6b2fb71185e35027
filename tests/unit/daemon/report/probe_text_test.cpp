// Every kind of probe by its name, and what it wanted. Not here: results (probes).
#include "daemon/report/probe_text.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Kind;

probes::Probe probe_of(Kind kind) {
  probes::Probe probe{.spec = {}, .server = {.address = Address::parse("10.0.0.11").value(), .port = 8443}};
  probe.spec.kind = kind;
  return probe;
}

TEST(ProbeInWords, NamesWhichProbeItIs) {
  EXPECT_EQ(name_of(probe_of(Kind::tcp)), "tcp 10.0.0.11:8443");
  EXPECT_EQ(name_of(probe_of(Kind::http)), "http 10.0.0.11:8443 GET /");
  probes::Probe dns = probe_of(Kind::dns);
  dns.server.address = Address::parse("fd00::11").value();
  EXPECT_EQ(name_of(dns), "dns [fd00::11]:8443 .");
  probes::Probe exec = probe_of(Kind::exec);
  exec.spec.edit<probes::ExecSpec>().command = {"/bin/check", "it"};
  EXPECT_EQ(name_of(exec), "exec 10.0.0.11:8443 /bin/check");
}

TEST(ProbeInWords, SaysWhatWasWantedOnlyWhereAnotherAnswerCame) {
  probes::ProbeSpec spec = probe_of(Kind::http).spec;
  EXPECT_EQ(wanted_by(spec, probes::Reason::wrong_status), "status 200-299");
  spec.edit<probes::HttpSpec>().status = {{200, 200}, {300, 399}};
  EXPECT_EQ(wanted_by(spec, probes::Reason::wrong_status), "status 200, 300-399");
  spec.edit<probes::HttpSpec>().body = probes::Pattern::text("ok\n");
  EXPECT_EQ(wanted_by(spec, probes::Reason::wrong_answer), "body with \"ok?\"");
  spec.slow = 500ms;
  EXPECT_EQ(wanted_by(spec, probes::Reason::slow), "within 500ms");
  spec.edit<probes::HttpSpec>().expires_within = std::chrono::days{21};
  EXPECT_EQ(wanted_by(spec, probes::Reason::certificate_expires), "valid for more than 21 days");
  for (const probes::Reason reason : {probes::Reason::refused, probes::Reason::timeout, probes::Reason::connected, probes::Reason::garbled})
    EXPECT_EQ(wanted_by(spec, reason), "");
  const auto answer = [](Kind kind) { return wanted_by(probe_of(kind).spec, probes::Reason::wrong_answer); };
  EXPECT_EQ(answer(Kind::tcp), "") << "it reads no reply";
  EXPECT_EQ(answer(Kind::dns), "a record NS of .");
  EXPECT_EQ(answer(Kind::grpc), "SERVING");
  EXPECT_EQ(answer(Kind::redis), "PONG");
  EXPECT_EQ(answer(Kind::mysql), "");
  EXPECT_EQ(answer(Kind::exec), "exit status 0");
  EXPECT_EQ(answer(Kind::smtp), "");
  probes::ProbeSpec tcp = probe_of(Kind::tcp).spec;
  tcp.edit<probes::SendExpectSpec>().expect = probes::Pattern::text("+OK");
  EXPECT_EQ(wanted_by(tcp, probes::Reason::wrong_answer), "reply with \"+OK\"");
}

} // namespace
} // namespace hanat
