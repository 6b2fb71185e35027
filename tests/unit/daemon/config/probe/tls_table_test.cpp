// `tls` and `password_file` of a probe: what they become, the errors, and that nothing tells a password.
// Not here: what a server says (tests/netns/probes/kinds/secured_servers_test).
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "daemon/config/key_values.hpp"
#include "daemon/config/load_config.hpp"
#include "daemon/config/probe_targets.hpp"
#include "tests/unit/daemon/config/rows.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::config {
namespace {

using probes::TlsOptions;

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long length = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(length)};
}

/// A key and a certificate that it has signed for itself, in PEM format.
struct Identity {
  Identity() {
    EVP_PKEY* pair = EVP_EC_gen("P-256");
    X509* made = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, pair);
    X509_NAME_add_entry_by_NID(X509_get_subject_name(made), NID_commonName, MBSTRING_ASC, reinterpret_cast<const unsigned char*>("x"), 1,
                               -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    X509_sign(made, pair, EVP_sha256());
    BIO *for_key = BIO_new(BIO_s_mem()), *for_certificate = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(for_key, pair, nullptr, nullptr, 0, nullptr, nullptr);
    PEM_write_bio_X509(for_certificate, made);
    key = text_of(for_key);
    certificate = text_of(for_certificate);
    BIO_free(for_key);
    BIO_free(for_certificate);
    X509_free(made);
    EVP_PKEY_free(pair);
  }
  std::string key, certificate;
};

class TlsTable : public testing::Test {
protected:
  TlsTable() {
    put("ca.pem", own.certificate);
    put("key.pem", own.key);
    put("other.pem", other.key);
    put("password", "pencil\n");
  }
  void put(const char* name, const std::string& text, mode_t mode = 0600) const {
    test::write_text(dir / name, text);
    chmod((dir / name).c_str(), mode);
  }
  /// The text of a configuration; "@" in the keys is the folder.
  std::string config_text(std::string keys) const {
    for (auto at = keys.find('@'); at != std::string::npos; at = keys.find('@')) keys.replace(at, 1, dir.path().string());
    return fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"10.0.0.11:8443\"\nprobe = {{ {} }}\n", keys);
  }
  Config config(const std::string& keys) const {
    auto result = parse_config(config_text(keys), "f");
    EXPECT_EQ(test::errors_of(config_text(keys)), "") << keys;
    return std::get<Config>(std::move(result));
  }
  probes::ProbeSpec spec(const std::string& keys) const { return config(keys).services.at(0)->servers.at(0).probes.at(0); }
  /// The errors without their places.
  std::string errors(const std::string& keys) const {
    std::string text = test::errors_of(config_text(keys));
    for (auto at = text.find(dir.path().string()); at != std::string::npos; at = text.find(dir.path().string()))
      text.replace(at, dir.path().string().size(), "@");
    return text.substr(text.find(": ") + 2);
  }
  std::string differences_of(const Config& before, const Config& after) const {
    std::string text;
    for (const KeyDifference& one : differences(before.services.at(0), after.services.at(0)))
      text += fmt::format("{}: {} -> {}\n", one.key, one.before, one.after);
    return text;
  }

  Identity own, other;
  test::TempDir dir;
};

TEST_F(TlsTable, TrueSpeaksTlsAndChecksNothing) {
  const auto plain = spec(R"(type = "redis")"), off = spec(R"(type = "redis", tls = false)"), on = spec(R"(type = "redis", tls = true)");
  EXPECT_EQ(plain.tls.get(), nullptr);
  EXPECT_EQ(off, plain);
  ASSERT_NE(on.tls.get(), nullptr);
  EXPECT_FALSE(on.tls.get()->verify);
  EXPECT_NE(on.tls.get()->context, nullptr);
  EXPECT_EQ(on, spec(R"(type = "redis", tls = { verify = false })"));
  EXPECT_EQ(spec(R"(type = "tls")"), spec(R"(type = "tls", tls = true)"));
}

TEST_F(TlsTable, AnAuthorityIsThereToVerify) {
  const auto found =
      spec(R"(type = "postgres", tls = { ca = "@/ca.pem", name = "db.example.com", cert = "@/ca.pem", key = "@/key.pem", min = "1.3" })");
  const TlsOptions& tls = *found.tls.get();
  EXPECT_TRUE(tls.verify);
  EXPECT_EQ(tls.name, "db.example.com");
  EXPECT_EQ(tls.min, probes::TlsVersion::tls13);
  EXPECT_EQ(tls.ca, dir / "ca.pem");
  EXPECT_NE(tls.context, nullptr);
  const auto https = spec(R"(type = "https", host = "www.example.com", tls = { ca = "@/ca.pem" })");
  EXPECT_TRUE(https.of<probes::HttpSpec>().verify);
  EXPECT_EQ(https.tls.get()->name, "www.example.com");
  EXPECT_TRUE(spec(R"(type = "grpc", tls = { ca = "@/ca.pem" })").of<probes::GrpcSpec>().tls);
  EXPECT_EQ(spec(R"(type = "tls", verify = true)"), spec(R"(type = "tls", tls = { verify = true })"));
}

TEST_F(TlsTable, ProbesWithTheSameSettingsShareAContextUntilAFileChanges) {
  const std::string keys = R"(type = "redis", tls = { ca = "@/ca.pem" })";
  const Config before = config(keys), same = config(keys);
  EXPECT_EQ(before, same);
  EXPECT_EQ(differences_of(before, same), "");
  put("ca.pem", own.certificate + own.certificate);
  const Config after = config(keys);
  EXPECT_NE(before, after);
  EXPECT_EQ(differences_of(before, after), "probe.tls (what its files hold): (not shown) -> (not shown)\n");
  const auto probe = [](const Config& of) { return probes_for(of.services[0], of.services[0]->servers[0]).at(0); };
  EXPECT_EQ(probe_identity(probe(before)), probe_identity(probe(after))) << "what was known before a restart is still true";
}

TEST_F(TlsTable, ItsMistakesHaveRemedies) {
  for (const auto& [keys, expected] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"(type = "redis", tls = 1)",
            "probe.tls must be true, false or a table, not an integer: write tls = { ca = \"/etc/hanat/ca.pem\" }"},
           {R"(type = "https", tls = false)", "probe.tls = false contradicts type = \"https\": remove it, or write type = \"http\""},
           {R"(type = "http", tls = true)",
            "probe.tls does not belong here: it is a key of tcp, tls, https, grpc, redis, postgres, mysql, smtp "
            "probes; write type = \"tcp\", or remove it"},
           {R"(type = "redis", tls = { ca = "@/none" })", "probe.tls.ca = \"@/none\": no such file: name one that exists"},
           {R"(type = "redis", tls = { ca = "ca.pem" })",
            "probe.tls.ca = \"ca.pem\": this is not a path from the root: write one like \"/etc/hanat/ca.pem\""},
           {R"(type = "redis", tls = { ca = "@/password" })",
            "probe.tls.ca = \"@/password\": it has no \"-----BEGIN\" line: name a file in PEM format"},
           {R"(type = "redis", tls = { ca = "@/key.pem" })",
            "probe.tls.ca = \"@/key.pem\": it has no certificate: name a file with the certificates of authorities in PEM format"},
           {R"(type = "redis", tls = { ca = "@/ca.pem", verify = false })",
            "probe.tls.ca has no effect with verify = false: remove one of them"},
           {R"(type = "redis", tls = { cert = "@/ca.pem" })", "probe.tls.cert without key is half of an identity: write both"},
           {R"(type = "redis", tls = { cert = "@/ca.pem", key = "@/other.pem" })",
            "probe.tls.key = \"@/other.pem\": the key does not belong to the certificate: name the file with the private key of tls.cert"},
           {R"(type = "https", tls = { name = "x" })", "probe.tls.name is written as probe.host here, which is also sent in the request"},
           {R"(type = "tls", verify = true, tls = { verify = true })", "probe.tls.verify and probe.verify are both set: keep one of them"},
           {R"(type = "redis", tls = { min = "old" })", "probe.tls.min = \"old\" is not known: write \"1.2\" or \"1.3\""},
           {R"(type = "redis", tls = { cart = "x" })", "unknown key \"probe.tls.cart\": did you mean \"cert\"?"}})
    EXPECT_EQ(errors(keys), expected) << keys;
  put("key.pem", own.key, 0644);
  EXPECT_EQ(errors(R"(type = "redis", tls = { cert = "@/ca.pem", key = "@/key.pem" })"),
            "probe.tls.key = \"@/key.pem\": everybody on this machine can read this file: run `chmod o= FILE`, and change what is in it if "
            "others have been there");
}

TEST_F(TlsTable, APasswordIsTheOneLineOfAFileThatOthersCannotRead) {
  const auto password = [&](const std::string& text) {
    put("password", text);
    return std::string{spec(R"(type = "redis", password_file = "@/password")").of<probes::RedisSpec>().password.secret.reveal()};
  };
  EXPECT_EQ(password("pencil\n"), "pencil");
  EXPECT_EQ(password("pencil"), "pencil");
  EXPECT_EQ(password(" two words \r\n"), " two words ");
  const auto wrong = [&](const std::string& text, mode_t mode = 0600) {
    put("password", text, mode);
    return errors(R"(type = "redis", password_file = "@/password")").substr(std::string{"probe.password_file = \"@/password\": "}.size());
  };
  EXPECT_EQ(wrong("pencil", 0604).substr(0, 46), "everybody on this machine can read this file: ");
  EXPECT_EQ(wrong("pencil", 0602).substr(0, 46), "everybody on this machine can write this file:");
  EXPECT_EQ(wrong("\n"), "it is empty: write the password into it");
  EXPECT_EQ(wrong("a\nb\n"), "it has more than one line: write the password, and nothing else, into it");
  EXPECT_EQ(wrong(std::string(1'025, 'x')), "it has more than 1,024 bytes: name a file that holds a password and nothing else");
  EXPECT_EQ(errors(R"(type = "postgres", password_file = "@/other.pem")")
                .find("probe.password_file = \"@/other.pem\": it has more than one line"),
            0U);
  put("password", "pencil");
  EXPECT_EQ(errors(R"(type = "mysql", password_file = "@/password")"), "probe.password_file is of a user: write user = \"hanat\" as well");
}

TEST_F(TlsTable, AChangedPasswordIsToldAndNotShown) {
  const std::string keys = R"(type = "postgres", user = "u", password_file = "@/password")";
  const Config before = config(keys);
  EXPECT_EQ(before, config(keys));
  put("password", "eraser");
  const Config after = config(keys);
  EXPECT_EQ(differences_of(before, after), "probe.password_file (what it holds): (not shown) -> (not shown)\n");
}

} // namespace
} // namespace hanat::config
