// DNS messages: the bytes of a query; responses with every record type, failing, malformed and hostile.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "probes/kinds/dns_message.hpp"

namespace hanat::probes {
namespace {

using namespace std::string_literals;

constexpr std::uint16_t dns_id = 0x1234;

std::string dns_u16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value & 0xffU)}; }
std::string dns_record(unsigned type, const std::string& data, unsigned of_class = 1) {
  return "\xc0\x0c"s + dns_u16(type) + dns_u16(of_class) + std::string(4, '\0') + dns_u16(static_cast<unsigned>(data.size())) + data;
}
/// A response to the query of `spec`, with these flags and records.
std::string dns_response(const DnsSpec& spec, unsigned flags, const std::vector<std::string>& records) {
  std::string message = dns_query(spec, dns_id);
  message.replace(2, 2, dns_u16(flags));
  message.replace(6, 2, dns_u16(static_cast<unsigned>(records.size())));
  for (const auto& one : records) message += one;
  return message;
}
constexpr unsigned dns_noerror = 0x8180; // response, recursion desired and available

TEST(DnsQuery, ItHasOneQuestion) {
  EXPECT_EQ(dns_query({.name = "a.example", .record = "AAAA", .answer = {}}, dns_id),
            "\x12\x34\x01\0\0\1\0\0\0\0\0\0\1a\7example\0\0\x1c\0\1"s);
  EXPECT_EQ(dns_query({.name = ".", .record = "NS", .answer = {}}, dns_id), "\x12\x34\x01\0\0\1\0\0\0\0\0\0\0\0\2\0\1"s);
  EXPECT_EQ(dns_query({.name = "a.example.", .record = "A", .answer = {}}, dns_id).size(), 27U);
}

TEST(DnsQuery, TheLongestNameHas255Bytes) {
  const std::string label(61, 'a');
  const auto longest = label + '.' + label + '.' + label + '.' + label + ".aaaa"; // with lengths and the final zero 254 bytes
  EXPECT_EQ(dns_query({.name = longest + 'a', .record = "A", .answer = {}}, dns_id).size(), 12U + 255 + 4);
  EXPECT_EQ(dns_query({.name = longest + "aa", .record = "A", .answer = {}}, dns_id), "");
}

TEST(DnsQuery, AnInvalidNameIsEmpty) {
  for (const auto& name : {""s, "a.."s, ".."s, ".a"s, ""s + '\0', "a..b"s, std::string(64, 'a'), std::string(300, '.'), "a\0b"s})
    EXPECT_EQ(dns_query({.name = name, .record = "A", .answer = {}}, dns_id), "") << name;
  EXPECT_EQ(dns_query({.name = "a", .record = "ANY", .answer = {}}, dns_id), "");
}

TEST(DnsResponse, EveryRecordHasItsText) {
  const std::string host = "\4mail\xc0\x0c"s; // mail.a.example
  struct Case {
    const char* record;
    unsigned type;
    std::string data, text;
  };
  const Case cases[] = {
      {"A", 1, "\xc0\0\2\1"s, "192.0.2.1"},
      {"AAAA", 28, "\x20\1\x0d\xb8"s + std::string(11, '\0') + "\1", "2001:DB8:0::1"},
      {"CNAME", 5, host, "mail.a.example."},
      {"NS", 2, host, "MAIL.a.example"},
      {"PTR", 12, host, "mail.a.example"},
      {"MX", 15, "\0\x0a"s + host, "10 mail.a.example."},
      {"SRV", 33, "\0\1\0\2\0\x50"s + host, "1 2 80 mail.a.example"},
      {"SOA", 6, host + "\4root\xc0\x0c"s + "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"s, "mail.a.example. root.a.example. 1 2 3 4 5"},
      {"TXT", 16, "\2ok\3 go"s, "ok go"},
  };
  for (const auto& [name, type, data, text] : cases) {
    DnsSpec spec{.name = "a.example", .record = name, .answer = text};
    const auto response = dns_response(spec, dns_noerror, {dns_record(type, data)});
    EXPECT_EQ(judge_dns(spec, dns_id, response), Verdict{}) << name;
    spec.answer = type == 1 ? "192.0.2.2" : type == 28 ? "2001:db8::2" : "other";
    EXPECT_EQ(judge_dns(spec, dns_id, response).value_or(Verdict{}).reason, Reason::wrong_answer) << name;
    spec.answer = "";
    EXPECT_EQ(judge_dns(spec, dns_id, response), Verdict{}) << name;
    for (std::size_t size = 0; size < response.size(); ++size) { // cut off anywhere
      const auto verdict = judge_dns(spec, dns_id, std::string_view{response}.substr(0, size));
      EXPECT_TRUE(!verdict || verdict->reason == Reason::garbled) << name << ' ' << size;
    }
    if (type == 16) continue; // one more byte starts another string
    EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, dns_noerror, {dns_record(type, data + "x")})).value_or(Verdict{}).reason,
              Reason::garbled)
        << name;
  }
}

TEST(DnsResponse, OneMatchingRecordPassesAndOtherTypesAreSkipped) {
  const DnsSpec spec{.name = "a.example", .record = "A", .answer = "192.0.2.2"};
  EXPECT_EQ(judge_dns(spec, dns_id,
                      dns_response(spec, dns_noerror,
                                   {dns_record(5, "\1b\xc0\x0c"s), dns_record(1, "\xc0\0\2\1"s), dns_record(1, "\xc0\0\2\2"s)})),
            Verdict{});
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, dns_noerror, {dns_record(1, "\xc0\0\2\1"s)})),
            (Verdict{.reason = Reason::wrong_answer, .detail = "192.0.2.1"}));
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, dns_noerror, {dns_record(5, "\1b\xc0\x0c"s)})),
            (Verdict{.reason = Reason::wrong_answer, .detail = "no A record"}));
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, dns_noerror, {dns_record(1, "\xc0\0\2\2"s, 3)})), // of another class
            (Verdict{.reason = Reason::wrong_answer, .detail = "no A record"}));
}

TEST(DnsResponse, ARefusalHasItsCode) {
  const DnsSpec spec{.name = "a.example", .record = "A", .answer = {}};
  const std::pair<unsigned, const char*> cases[] = {{1, "FORMERR"}, {2, "SERVFAIL"}, {3, "NXDOMAIN"},
                                                    {4, "NOTIMP"},  {5, "REFUSED"},  {9, "rcode 9"}};
  for (const auto& [rcode, word] : cases)
    EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, 0x8100U | rcode, {})), (Verdict{.reason = Reason::wrong_answer, .detail = word}));
  // What is asked without a configuration, most servers for some domains alone refuse.
  const DnsSpec root{};
  EXPECT_EQ(judge_dns(root, dns_id, dns_response(root, 0x8105U, {})).value_or(Verdict{}).detail,
            "REFUSED: set the probe's name to one that this server answers for");
  EXPECT_EQ(judge_dns(root, dns_id, dns_response(root, 0x8102U, {})).value_or(Verdict{}).detail, "SERVFAIL");
  // without the question section
  EXPECT_EQ(judge_dns(spec, dns_id, "\x12\x34\x81\5\0\0\0\0\0\0\0\0"s), (Verdict{.reason = Reason::wrong_answer, .detail = "REFUSED"}));
}

TEST(DnsResponse, AResponseToAnotherQueryIsIgnored) {
  const DnsSpec spec{.name = "a.example", .record = "A", .answer = {}};
  const auto records = {dns_record(1, "\xc0\0\2\1"s)};
  EXPECT_EQ(judge_dns(spec, dns_id + 1, dns_response(spec, dns_noerror, records)), std::nullopt);
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response({.name = "b.example", .record = "A", .answer = {}}, dns_noerror, records)), std::nullopt);
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response({.name = "a.example", .record = "NS", .answer = {}}, dns_noerror, records)), std::nullopt);
  EXPECT_EQ(judge_dns(spec, dns_id, dns_query(spec, dns_id)), std::nullopt); // the query itself
  EXPECT_EQ(judge_dns(spec, dns_id, "\x12\x34\x81\x80\0\0\0\0\0\0\0\0"s), std::nullopt);
  EXPECT_EQ(judge_dns(spec, dns_id, "x"), std::nullopt);
  EXPECT_EQ(judge_dns(spec, dns_id, ""), std::nullopt);
  EXPECT_EQ(judge_dns({.name = "A.EXAMPLE.", .record = "A", .answer = {}}, dns_id, dns_response(spec, dns_noerror, records)), Verdict{});
}

TEST(DnsResponse, ATruncatedOnePassesAndALongOneFails) {
  const DnsSpec spec{.name = "a.example", .record = "TXT", .answer = "x"};
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, dns_noerror | 0x0200U, {})), Verdict{});
  const auto text = dns_record(16, "\1y"s + std::string(5'000, '\0'));
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, dns_noerror, {text})).value_or(Verdict{}).reason, Reason::too_large);
}

TEST(DnsResponse, ANameThatPointsAtItselfIsGarbled) {
  const DnsSpec spec{.name = "a.example", .record = "A", .answer = {}};
  const auto loop = "\xc0\x1b"s + dns_record(1, "\xc0\0\2\1"s).substr(2); // 27, its own position
  EXPECT_EQ(judge_dns(spec, dns_id, dns_response(spec, dns_noerror, {loop})).value_or(Verdict{}).reason, Reason::garbled);
}

} // namespace
} // namespace hanat::probes
