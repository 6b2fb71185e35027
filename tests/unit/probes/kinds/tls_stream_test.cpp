// What one handshake leaves for the next: a session, the group that the server took, a chain that has been verified; and that nothing is
// taken from it which a whole verification would refuse. Against OpenSSL's server in memory.
// Not here: what a probe says of real servers (tests/netns/probes/kinds/secured_servers_test).
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "probes/kinds/tls_context.hpp"
#include "probes/kinds/tls_stream.hpp"

namespace hanat::probes {
namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* tls) const { SSL_free(tls); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
template <class Of> using Owned = std::unique_ptr<Of, Free>;

struct Signed {
  Owned<X509> certificate;
  Owned<EVP_PKEY> key;
};

void extend(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// `by` null: an authority that signs itself. Valid from `from` seconds to `until` seconds after now.
Signed issue(const char* name, const Signed* by, long from = -60, long until = 3'600) {
  static int serial = 0;
  Signed issued{.certificate = Owned<X509>{X509_new()}, .key = Owned<EVP_PKEY>{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")}};
  X509* certificate = issued.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), until);
  X509_set_pubkey(certificate, issued.key.get());
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(certificate, by == nullptr ? subject : X509_get_subject_name(by->certificate.get()));
  if (by == nullptr)
    extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
  else
    extend(certificate, NID_subject_alt_name, (std::string{"DNS:"} + name).c_str());
  X509_sign(certificate, by == nullptr ? issued.key.get() : by->key.get(), EVP_sha256());
  return issued;
}

std::string pem(const X509* certificate) {
  const Owned<BIO> out{BIO_new(BIO_s_mem())};
  PEM_write_bio_X509(out.get(), certificate);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

class Server {
public:
  explicit Server(const Signed& shown, const char* groups = "X25519") : context_(SSL_CTX_new(TLS_server_method())) {
    show(shown);
    SSL_CTX_set1_groups_list(context_.get(), groups);
  }
  void show(const Signed& shown) {
    SSL_CTX_use_certificate(context_.get(), shown.certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), shown.key.get());
  }

  /// One connection: whether the handshake is complete, and how many messages the client sent for it. Then the server says "hello".
  struct Met {
    bool open = false, resumed = false;
    int sent = 0;
    std::string failure = {};
  };
  Met meet(TlsStream& client) const {
    const Owned<SSL> tls{SSL_new(context_.get())};
    SSL_set_bio(tls.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(tls.get());
    Met met;
    for (int turn = 0; turn < 5; ++turn) {
      const auto state = client.handshake();
      met.open = state == TlsStream::State::open;
      if (state == TlsStream::State::failed) met.failure = client.failure().detail;
      std::string bytes;
      client.take_output(bytes);
      met.sent += bytes.empty() ? 0 : 1;
      BIO_write(SSL_get_rbio(tls.get()), bytes.data(), static_cast<int>(bytes.size()));
      if (SSL_do_handshake(tls.get()) == 1 && met.open) SSL_write(tls.get(), "hello", 5);
      char* reply = nullptr;
      const long size = BIO_get_mem_data(SSL_get_wbio(tls.get()), &reply);
      client.receive({reply, static_cast<std::size_t>(size)});
      (void)BIO_reset(SSL_get_wbio(tls.get()));
      if (met.open || !met.failure.empty()) break;
    }
    std::string plain;
    if (met.open) client.read(plain); // tickets are in front of it
    EXPECT_EQ(plain, met.open ? "hello" : "");
    met.resumed = client.resumed();
    client.close(); // otherwise the session counts as broken
    return met;
  }

private:
  Owned<SSL_CTX> context_;
};

class TlsStreamTest : public testing::Test {
protected:
  TlsOptions options(const Signed& authority, const char* name = "db.example") const {
    return {.verify = true, .name = name, .context = TlsContext::make({.verify = true, .ca = pem(authority.certificate.get())})};
  }
  Server::Met meet(const Server& server, const TlsOptions& options) {
    TlsStream client{options, probe_};
    client.use_sessions(sessions_, probe_);
    return server.meet(client);
  }
  /// Nothing is resumed: it is about the chain.
  static Server::Met meet_anew(const Server& server, const TlsOptions& options) {
    const Probe probe{.spec = {}, .server = {}};
    TlsStream client{options, probe};
    return server.meet(client);
  }

  const Signed authority_ = issue("authority", nullptr);
  const Signed good_ = issue("db.example", &authority_);
  const Probe probe_{.spec = {}, .server = {}};
  TlsSessions sessions_;
};

TEST_F(TlsStreamTest, TheSecondHandshakeResumesTheSession) {
  const Server server{good_};
  const TlsOptions verified = options(authority_);
  const auto first = meet(server, verified);
  EXPECT_TRUE(first.open) << first.failure;
  EXPECT_FALSE(first.resumed);
  EXPECT_EQ(first.sent, 2);
  EXPECT_TRUE(meet(server, verified).resumed);
  EXPECT_TRUE(meet(server, verified).resumed);
}

TEST_F(TlsStreamTest, ClientsBeginWithTheGroupThatTheServerTook) {
  const Server server{good_, "P-384"};
  const TlsOptions verified = options(authority_);
  EXPECT_EQ(meet(server, verified).sent, 3) << "a second ClientHello";
  EXPECT_EQ(meet(server, verified).sent, 2);
  const Server other{good_, "P-521"};
  EXPECT_EQ(meet(other, verified).sent, 3);
  EXPECT_EQ(meet(other, verified).sent, 2);
  const Server usual{good_};
  EXPECT_EQ(meet(usual, verified).sent, 3);
  EXPECT_TRUE(sessions_.group_of(probe_).empty()) << "OpenSSL begins with this one anyway";
  EXPECT_EQ(meet(usual, verified).sent, 2);
  EXPECT_EQ(meet(server, verified).sent, 3);
  sessions_.forget(probe_);
  EXPECT_EQ(meet(server, verified).sent, 3);
}

TEST_F(TlsStreamTest, ChainsAreVerifiedOnce) {
  const Server server{good_};
  const TlsOptions verified = options(authority_);
  for (int i = 0; i < 3; ++i) {
    const auto met = meet_anew(server, verified);
    EXPECT_TRUE(met.open) << met.failure;
    EXPECT_EQ(verified.context->verified().count(), 1U);
  }
}

TEST_F(TlsStreamTest, AVerifiedChainIsGoodForItsNameAlone) {
  const Server server{good_};
  const TlsOptions verified = options(authority_);
  EXPECT_TRUE(meet_anew(server, verified).open);
  TlsOptions other = verified;
  other.name = "shop.example";
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(meet_anew(server, other).failure, "certificate is for db.example, not for shop.example") << "whatever else was verified";
}

TEST_F(TlsStreamTest, AVerifiedChainIsGoodForItsAuthoritiesAlone) {
  const Server server{good_};
  EXPECT_TRUE(meet_anew(server, options(authority_)).open);
  const Signed impostor = issue("authority", nullptr); // of the same name
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(meet_anew(server, options(impostor)).open);
  EXPECT_TRUE(meet_anew(server, options(authority_)).open);
}

TEST_F(TlsStreamTest, AVerifiedChainIsGoodForItsCertificatesAlone) {
  const TlsOptions verified = options(authority_);
  EXPECT_TRUE(meet_anew(Server{good_}, verified).open);
  const Signed impostor = issue("authority", nullptr), forged = issue("db.example", &impostor);
  EXPECT_FALSE(meet_anew(Server{forged}, verified).open);
  EXPECT_TRUE(meet_anew(Server{issue("db.example", &authority_)}, verified).open);
  EXPECT_EQ(verified.context->verified().count(), 2U);
}

TEST_F(TlsStreamTest, AVerifiedChainIsGoodUntilOneOfItsCertificatesExpires) {
  const Signed brief = issue("authority", nullptr, -60, 2);
  const Server leaf{issue("db.example", &authority_, -60, 2)}, below{issue("db.example", &brief)};
  const TlsOptions verified = options(authority_), trusting = options(brief);
  EXPECT_TRUE(meet_anew(leaf, verified).open);
  EXPECT_TRUE(meet_anew(below, trusting).open);
  for (const std::time_t end = std::time(nullptr) + 3; std::time(nullptr) <= end;
       std::this_thread::sleep_for(std::chrono::milliseconds{20}))
    if (!meet_anew(leaf, verified).open && !meet_anew(below, trusting).open) break;
  std::this_thread::sleep_for(std::chrono::seconds{1}); // the text has whole seconds
  EXPECT_EQ(meet_anew(leaf, verified).failure, "certificate has expired (expired less than a day ago)");
  EXPECT_EQ(meet_anew(below, trusting).failure, "certificate has expired (that of its authority, expired less than a day ago)");
}

} // namespace
} // namespace hanat::probes
