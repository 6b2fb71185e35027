// [pair] peer, listen, ca, cert, key, insecure_peer: their values, and an error with a remedy for each mistake.
#include <chrono>
#include <string>
#include <variant>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/key_values.hpp"
#include "daemon/config/load_config.hpp"
#include "tests/unit/daemon/config/rows.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using test::Row;
using testing::HasSubstr;

const std::string ends = "peer = \"198.18.9.2:9718\"\nlisten = \"198.18.9.1:9718\"\n";
std::string pair_with(const std::string& keys) { return "[pair]\naddress = \"203.0.113.10\"\n" + keys; }

Config config_of(const std::string& keys) {
  const auto result = parse_config(pair_with(keys), "f");
  const auto* config = std::get_if<Config>(&result);
  EXPECT_NE(config, nullptr) << test::errors_of(pair_with(keys));
  return config == nullptr ? Config{} : *config;
}
std::optional<PeerConfig> peer_of(const std::string& keys) {
  const Config config = config_of(keys);
  return config.pair ? config.pair->peer : std::nullopt;
}

/// Three files that look like PEM.
struct Keys {
  Keys() {
    for (const char* name : {"ca", "cert", "key"}) test::write_text(files / name, fmt::format("-----BEGIN X-----\n{}\n", name));
  }
  std::string text() const {
    return fmt::format("ca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n", files / "ca", files / "cert", files / "key");
  }
  test::TempDir files;
};

TEST(PeerKeys, WithoutAPeerOnlyTheRoleIsKnown) { EXPECT_EQ(peer_of(""), std::nullopt); }

TEST(PeerKeys, APlainLinkHasToBeAskedFor) {
  const Endpoint peer{*Address::parse("198.18.9.2"), 9718}, listen{*Address::parse("198.18.9.1"), 9718};
  EXPECT_EQ(peer_of(ends + "insecure_peer = true\n"), (PeerConfig{.peer = peer, .listen = listen}));
  const auto six = peer_of("peer = \"[fd00::2]:9718\"\nlisten = \"[fd00::1]:9718\"\ninsecure_peer = true\n");
  ASSERT_TRUE(six);
  EXPECT_EQ(to_text(six->peer), "[fd00::2]:9718");
}

TEST(PeerKeys, FilesOfTlsAreRead) {
  const Keys keys;
  const auto peer = peer_of(ends + keys.text());
  ASSERT_TRUE(peer && peer->tls);
  EXPECT_EQ(peer->tls->cert, keys.files / "cert");
  EXPECT_EQ(peer->tls->key_pem, "-----BEGIN X-----\nkey\n");
}

TEST(PeerKeys, ARenewedCertificateIsAnotherConfiguration) {
  const Keys keys;
  const Config before = config_of(ends + keys.text());
  test::write_text(keys.files / "cert", "-----BEGIN X-----\nnew\n");
  const Config after = config_of(ends + keys.text());
  EXPECT_NE(before, after);
  EXPECT_THAT(changed_settings(before, after), testing::ElementsAre("pair.cert"));
}

TEST(PeerKeys, KeysThatChangeAreNamed) {
  EXPECT_THAT(changed_settings(config_of(""), config_of(ends + "insecure_peer = true\n")),
              testing::ElementsAre("pair.insecure_peer", "pair.listen", "pair.peer"));
}

// clang-format off
constexpr Row lone_rows[] = {
    {R"(listen = "198.18.9.1:9718")", R"(3:10: pair.peer is missing, the address of the other gateway: write peer = "198.18.9.2:9718", or remove listen, ca, cert, key and insecure_peer)"},
    {R"(insecure_peer = true)", R"(3:17: pair.peer is missing, the address of the other gateway: write peer = "198.18.9.2:9718", or remove listen, ca, cert, key and insecure_peer)"},
    {R"(peer = "198.18.9.2")", "3:8: pair.peer = \"198.18.9.2\" is not the address and port of one gateway: write it like peer = \"198.18.9.2:9718\"\n"
                               "3:8: pair.peer needs ca, cert and key, by which the gateways know each other; where nobody else can reach the link between them, write insecure_peer = true instead\n"
                               "3:8: pair.peer needs pair.listen, the address of this gateway on the link between the two: write listen = \"198.18.9.1:9718\"; the other gateway has the two the other way round"},
    {R"(peer = "gw2:9718")", "3:8: pair.peer = \"gw2:9718\" is not the address and port of one gateway: write it like peer = \"198.18.9.2:9718\"\n"
                             "3:8: pair.peer needs ca, cert and key, by which the gateways know each other; where nobody else can reach the link between them, write insecure_peer = true instead\n"
                             "3:8: pair.peer needs pair.listen, the address of this gateway on the link between the two: write listen = \"198.18.9.1:9718\"; the other gateway has the two the other way round"},
};
constexpr Row plain_rows[] = {
    {R"(listen = "0.0.0.0:9718")", R"(5:10: pair.listen = "0.0.0.0:9718" is not the address and port of one gateway: write it like listen = "198.18.9.1:9718")"},
    {R"(listen = "198.18.9.1:9718-9720")", R"(5:10: pair.listen = "198.18.9.1:9718-9720" is not the address and port of one gateway: write it like listen = "198.18.9.1:9718")"},
    {R"(listen = "198.18.9.2:9719")", R"(5:10: pair.peer and pair.listen are both 198.18.9.2: peer is the other gateway, listen is this one)"},
    {R"(listen = "[fd00::1]:9718")", R"(5:10: pair.peer and pair.listen are of different families: write both as IPv4, or both as IPv6)"},
};
constexpr Row tls_rows[] = {
    {R"(insecure_peer = false)", R"(3:8: pair.peer needs ca, cert and key, by which the gateways know each other; where nobody else can reach the link between them, write insecure_peer = true instead)"},
    {R"(insecure_peer = "yes")", R"(5:17: pair.insecure_peer must be true or false, not a string)"},
    {R"(key = "/etc/x.pem")", "5:7: pair.ca is missing: TLS between the gateways needs ca, cert and key; write ca = \"/etc/hanat/peer-ca.pem\"\n"
                              "5:7: pair.cert is missing: TLS between the gateways needs ca, cert and key; write cert = \"/etc/hanat/peer-cert.pem\""},
};
// clang-format on

TEST(PeerKeys, AMistakeGivesAnErrorWithARemedy) {
  test::expect_errors(pair_with("%\n"), lone_rows);
  test::expect_errors(pair_with("insecure_peer = true\npeer = \"198.18.9.2:9718\"\n%\n"), plain_rows);
}

TEST(PeerKeys, HalfOfTlsGivesAnErrorWithARemedy) {
  for (const Row& row : tls_rows) {
    const std::string errors = test::errors_of(pair_with(ends + std::string{row.text} + "\n"));
    EXPECT_THAT(errors, HasSubstr(std::string{row.expected}.substr(0, row.expected.find(" must be"))));
  }
  const Keys keys;
  EXPECT_THAT(test::errors_of(pair_with(ends + keys.text() + "insecure_peer = true\n")),
              HasSubstr("pair.insecure_peer = true and ca, cert, key contradict each other: remove insecure_peer"));
}

TEST(PeerKeys, AFileThatCannotBeUsedIsNamed) {
  const Keys keys;
  const auto with_key = [&](const std::string& path) {
    return test::errors_of(
        pair_with(ends + fmt::format("ca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n", keys.files / "ca", keys.files / "cert", path)));
  };
  EXPECT_EQ(with_key("/nosuch/key.pem"),
            "7:7: pair.key = \"/nosuch/key.pem\": no such file: name one that exists, or make the three files of both "
            "gateways with hanat-pair-certificates (/usr/share/doc/hanat/examples/pair)");
  EXPECT_THAT(with_key(keys.files.path().string()), HasSubstr("this is no regular file"));
  EXPECT_THAT(with_key("/dev/zero"), HasSubstr("this is no regular file"));
  test::write_text(keys.files / "text", "no key");
  EXPECT_THAT(with_key(keys.files / "text"), HasSubstr("it has no \"-----BEGIN\" line: name a file in PEM format"));
  test::write_text(keys.files / "huge", std::string(std::size_t{300} << 10, '-'));
  EXPECT_THAT(with_key(keys.files / "huge"), HasSubstr("it has more than 262,144 bytes"));
}

} // namespace
} // namespace hanat
