// SCRAM-SHA-256 against values of another implementation (Python's hashlib), and what a wrong server says.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "probes/kinds/digest.hpp"
#include "probes/kinds/scram.hpp"

namespace hanat::probes {
namespace {

/// The final message for this first one of the server.
std::string final_of(Scram& scram, const std::string& server_first) {
  EXPECT_EQ(scram.on_server_first(server_first), "");
  if (const auto work = scram.work()) work();
  return scram.final_message().value_or("-");
}

TEST(Scram, ProvesThePasswordAndChecksTheServersProof) {
  Scram plain{Secret{"pencil"}, "", false, "abc"};
  EXPECT_EQ(plain.mechanism(), "SCRAM-SHA-256");
  EXPECT_EQ(plain.first_message(), "n,,n=,r=abc");
  EXPECT_EQ(final_of(plain, "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            "c=biws,r=abcdef,p=bSI8JNC0sKQP16qvlI6NKMXQ4J2/VohdftY61WfuhYM=");
  EXPECT_TRUE(plain.verify("v=XEXwO+D7+icdt5gNaz3tMhD5h7j/sFGi1DJsK3wc9Tg="));
  EXPECT_FALSE(plain.verify("v=XEXwO+D7+icdt5gNaz3tMhD5h7j/sFGi1DJsK3wc9Tc="));
  EXPECT_FALSE(plain.verify("v="));
  EXPECT_FALSE(plain.verify("e=invalid-proof"));
}

TEST(Scram, IsBoundToTheCertificateWhereTheServerOffersIt) {
  Scram bound{Secret{"pencil"}, "binding", true, "abc"};
  EXPECT_EQ(bound.mechanism(), "SCRAM-SHA-256-PLUS");
  EXPECT_EQ(bound.first_message(), "p=tls-server-end-point,,n=,r=abc");
  EXPECT_EQ(final_of(bound, "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsYmluZGluZw==,r=abcdef,p=HpCSQgZvlclao4bhat8wbnxWb/n3MbJRx2sy7OmZ56g=");
  EXPECT_TRUE(bound.verify("v=2hn74KBfprOudPM90UgVoxZ7nHnyqnk+0VT05P8fOxE="));
  Scram able{Secret{"pencil"}, "binding", false, "abc"};
  EXPECT_EQ(able.first_message(), "y,,n=,r=abc");
  EXPECT_EQ(final_of(able, "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"), "c=eSws,r=abcdef,p=hMLe6UmIfU66LZBM0Fn0ktpc4itvU0IArWYYl/pMv3A=");
}

TEST(Scram, TheKeysAreComputedOnceForAPasswordAndASalt) {
  const auto has_work = [](const char* password, const std::string& rest, bool do_it) {
    Scram scram{Secret{password}, "", false, "abc"};
    EXPECT_EQ(scram.on_server_first("r=abcdef," + rest), "");
    const auto work = scram.work();
    if (work && do_it) work();
    return static_cast<bool>(work);
  };
  EXPECT_TRUE(has_work("one", "s=AAAA,i=7", true));
  EXPECT_FALSE(has_work("one", "s=AAAA,i=7", true));
  EXPECT_TRUE(has_work("one", "s=AAAA,i=8", false));
  EXPECT_TRUE(has_work("one", "s=AAAB,i=7", false));
  EXPECT_TRUE(has_work("two", "s=AAAA,i=7", false));
  EXPECT_TRUE(has_work("two", "s=AAAA,i=7", false)) << "nothing was computed";
}

TEST(Scram, AWrongServerIsNoticed) {
  for (const std::string& message :
       std::vector<std::string>{"", "r=abcdef", "r=abcdef,s=AAAA", "r=abcdef,s=AAAA,i=", "r=abcdef,s=AAAA,i=0", "r=abcdef,s=AAAA,i=-1",
                                "r=abcdef,s=AAAA,i=4096x", "r=abcdef,s=AAA,i=4096", "r=abcdef,s=,i=4096", "r=abc,s=AAAA,i=4096",
                                "r=xyzdef,s=AAAA,i=4096", "m=ext,r=abcdef,s=AAAA,i=4096", "r=abcdef,s=AAAA,i=2000000000"}) {
    Scram scram{Secret{"pencil"}, "", false, "abc"};
    EXPECT_NE(scram.on_server_first(message), "") << message;
  }
  EXPECT_NE(Scram(Secret{"p"}, "", false).first_message(), Scram(Secret{"p"}, "", false).first_message()) << "the nonce is never the same";
}

TEST(Digest, Base64IsReadStrictly) {
  EXPECT_EQ(from_base64("YWJj"), "abc");
  EXPECT_EQ(from_base64("YWI="), "ab");
  EXPECT_EQ(from_base64("YQ=="), "a");
  EXPECT_EQ(from_base64(""), "");
  for (const char* wrong : {"YWJ", "YW J", "YWJj\n", "Y===", "====", "YW-j"}) EXPECT_EQ(from_base64(wrong), std::nullopt) << wrong;
  EXPECT_EQ(to_base64("ab"), "YWI=");
}

} // namespace
} // namespace hanat::probes
