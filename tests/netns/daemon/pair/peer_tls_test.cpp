// The link between two gateways with mutual TLS: only the other one, with a certificate of the same authority for its address, is heard.
// Not here: what they tell each other (peer_link_test).
#include <chrono>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/pair/two_gateways.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

class PeerLinkTls : public TwoGateways {
protected:
  PeerLinkTls() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hanat-tls-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    keys = pattern;
    authority("ca");
    certificate("first", "ca", "IP:" + Lab::gateway_address(Host::bystander).text());
    certificate("second", "ca", "IP:" + Lab::address(Host::bystander).text());
  }
  ~PeerLinkTls() override {
    first.reset();
    second.reset();
    std::filesystem::remove_all(keys);
  }
  void authority(const std::string& name) {
    lab.must(Host::gateway,
             fmt::format("cd {0} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {1}.key -out "
                         "{1}.pem -days 30 -subj /CN={1} 2>&1",
                         keys.string(), name));
  }
  /// `dates`: options of openssl x509 for when it is valid.
  void certificate(const std::string& name, const std::string& ca, const std::string& san, const std::string& days = "30") {
    lab.must(Host::gateway,
             fmt::format("cd {0} && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {1}.key -out {1}.csr -subj "
                         "/CN={1} 2>&1 && printf 'subjectAltName={2}\\n' >{1}.ext && openssl x509 -req -in {1}.csr -CA {3}.pem -CAkey "
                         "{3}.key -CAcreateserial -days {4} -extfile {1}.ext -out {1}.pem 2>&1",
                         keys.string(), name, san, ca, days));
  }
  std::string tls(const std::string& name, const std::string& ca = "ca") const {
    return fmt::format("ca = \"{0}/{2}.pem\"\ncert = \"{0}/{1}.pem\"\nkey = \"{0}/{1}.key\"", keys.string(), name, ca);
  }
  /// The first one is well, and what the second one has is not: neither hears the other.
  void expect_refused(const std::string& second_tls, const testing::Matcher<std::string>& why) {
    give(Host::gateway);
    begin_first(fast_service(), tls("first"));
    begin_second(fast_service(), second_tls);
    const auto failed = [](const Status& now) { return now.daemon.pair && now.daemon.pair->peer && now.daemon.pair->peer->failure; };
    const Status now = second->wait_for(failed, 10s);
    EXPECT_THAT(*now.daemon.pair->peer->failure, why);
    EXPECT_FALSE(now.daemon.pair->peer->seen_s);
    first->wait_for(failed, 10s);
  }

  std::filesystem::path keys;
};

TEST_F(PeerLinkTls, GatewaysWithCertificatesOfOneAuthorityHearEachOther) {
  give(Host::gateway);
  begin_first(fast_service(), tls("first"));
  begin_second(fast_service(), tls("second"));
  first->wait_for(settled, 10s);
  second->wait_for(settled, 10s);
  ASSERT_EQ(second->ctl({"force-backup", "web"}).exit, 0);
  first->wait_target("web", "backup");
  second->wait_target("web", "backup");
  EXPECT_THAT(first->log(), Not(HasSubstr("was refused")));
}

TEST_F(PeerLinkTls, ACertificateOfAnotherAuthorityIsRefused) {
  authority("other");
  certificate("stranger", "other", "IP:" + Lab::address(Host::bystander).text());
  // It believes the first one, and is not believed.
  expect_refused(tls("stranger", "ca"), HasSubstr("not of the authority"));
  EXPECT_THAT(first->log(), HasSubstr("not of the authority"));
}

TEST_F(PeerLinkTls, AnotherAuthorityIsNotBelieved) {
  authority("other");
  certificate("stranger", "other", "IP:" + Lab::address(Host::bystander).text());
  expect_refused(tls("stranger", "other"), AnyOf(HasSubstr("certificate"), HasSubstr("SSL")));
}

TEST_F(PeerLinkTls, ACertificateForAnotherAddressIsRefused) {
  certificate("elsewhere", "ca", "IP:192.0.2.7");
  expect_refused(tls("elsewhere"), HasSubstr("IP:" + Lab::address(Host::bystander).text()));
}

TEST_F(PeerLinkTls, ACertificateThatHasExpiredIsRefused) {
  certificate("old", "ca", "IP:" + Lab::address(Host::bystander).text(), "-1");
  expect_refused(tls("old"), HasSubstr("expired"));
}

TEST_F(PeerLinkTls, WhoShowsNoCertificateIsRefused) {
  give(Host::gateway);
  begin_first(fast_service(), tls("first"));
  const Output answer =
      lab.run(Host::bystander, fmt::format("printf 'GET /pair?after=0 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' | "
                                           "timeout 10 openssl s_client -quiet -connect {} -CAfile {}/ca.pem 2>&1",
                                           first_at(), keys.string()));
  EXPECT_THAT(answer.out, Not(HasSubstr("\"services\"")));
  EXPECT_THAT(answer.out, AnyOf(HasSubstr("HTTP/1.1 403"), HasSubstr("alert"), HasSubstr("errno")));
}

TEST_F(PeerLinkTls, PlainTextIsNotHeardWhereTlsIsConfigured) { expect_refused("insecure_peer = true", testing::_); }

TEST_F(PeerLinkTls, ARenewedCertificateIsUsedAfterAReload) {
  certificate("second", "ca", "IP:192.0.2.7");
  give(Host::gateway);
  begin_first(fast_service(), tls("first"));
  begin_second(fast_service(), tls("second"));
  second->wait_for([](const Status& now) { return now.daemon.pair->peer && now.daemon.pair->peer->failure; }, 10s);
  certificate("second", "ca", "IP:" + Lab::address(Host::bystander).text());
  ASSERT_EQ(second->ctl({"reload"}).exit, 0);
  second->wait_for(settled, 10s);
  first->wait_for(settled, 10s);
}

} // namespace
} // namespace hanat::test
