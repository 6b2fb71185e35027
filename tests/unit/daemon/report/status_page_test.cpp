// The status page as it is sent: one reply, and a policy under which a browser runs nothing else. Not here: the page in a browser
// (tests/page.sh).
#include "daemon/report/status_page.hpp"

#include <algorithm>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "tests/unit/structure/tree.hpp"

namespace hanat::page {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string header(const HttpReply& reply, std::string_view name) {
  const auto found = std::ranges::find(reply.headers, name, [](const auto& one) { return std::string_view{one.first}; });
  return found == reply.headers.end() ? "" : found->second;
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin) + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

/// By another library than the page's own.
std::string digest_of(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  unsigned char encoded[2 * EVP_MAX_MD_SIZE];
  EVP_EncodeBlock(encoded, digest, static_cast<int>(size));
  return std::string{"'sha256-"} + reinterpret_cast<const char*>(encoded) + "'";
}

TEST(StatusPage, IsOneReplyThatNeedsNothingElse) {
  const HttpReply page = status_page();
  EXPECT_EQ(page.type, "text/html; charset=utf-8");
  for (const char* outside :
       {"http:", "https:", "//cdn", " src=", "<link", "@import", "url(", "innerHTML", "outerHTML", "document.write", "eval("})
    EXPECT_THAT(std::regex_replace(page.body, std::regex{"http://www.w3.org/2000/svg"}, ""), Not(HasSubstr(outside)));
  EXPECT_THAT(page.body, Not(HasSubstr("%STYLE%")));
  EXPECT_THAT(page.body, Not(HasSubstr("%SCRIPT%")));
  EXPECT_EQ(between(page.body, "<script>", "</script>"), structure::read_text(HANAT_SOURCE "/daemon/report/page/page.js"))
      << "as its source has it";
}

TEST(StatusPage, ItsPolicyNamesItsOwnScriptAndStyle) {
  const HttpReply page = status_page();
  const std::string policy = header(page, "Content-Security-Policy");
  EXPECT_THAT(policy, testing::StartsWith("default-src 'none'; "));
  EXPECT_THAT(policy, HasSubstr("script-src " + digest_of(between(page.body, "<script>", "</script>")) + ";"));
  EXPECT_THAT(policy, HasSubstr("style-src " + digest_of(between(page.body, "<style>", "</style>")) + ";"));
  EXPECT_THAT(policy, HasSubstr("connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_EQ(header(page, "X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(header(page, "Cache-Control"), "no-store");
}

} // namespace
} // namespace hanat::page
