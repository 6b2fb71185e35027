// Datagrams of a hostile DNS server. The first byte selects the record type of the query.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "probes/kinds/dns_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto records = hanat::probes::dns_records();
  const hanat::probes::DnsSpec spec{.name = "a.example", .record = std::string{records[data[0] % records.size()]}, .answer = "10 x"};
  constexpr std::uint16_t id = 0x1234;
  const std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
  // As it is, and appended to a response that matches the query, which a fuzzer does not guess.
  std::string after = hanat::probes::dns_query(spec, id);
  after[2] = '\x81';
  after[3] = '\x80';
  after[7] = '\x03'; // records
  for (const std::string_view datagram : {rest, std::string_view{after += rest}}) {
    const auto verdict = hanat::probes::judge_dns(spec, id, datagram);
    if (verdict && verdict->detail.size() > 80) std::abort();
  }
  hanat::probes::comparable_record(spec.record, rest);
  return 0;
}
