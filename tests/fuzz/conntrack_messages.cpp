// Parses the input as one message of a conntrack dump: parsing reads nothing beyond it, and a parsed entry can be deleted.
#include <cstring>
#include <stdexcept>

#include "nat/conntrack/messages.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hanat::nat;
  if (size < sizeof(nlmsghdr) || size > 4'096) return 0;
  MessageBatch bytes(data, data + size); // exactly as long as the input, so that the sanitizer finds a read past its end
  auto& header = *reinterpret_cast<nlmsghdr*>(bytes.data());
  header.nlmsg_len = static_cast<std::uint32_t>(size);
  parse_entry_counter(header);
  const auto entry = parse_entry(header);
  if (!entry) return 0;
  phase_of(*entry);
  mapping_opened_by_server(*entry);
  master_of(*entry);
  MessageBatch request;
  try {
    put_entry_delete(request, 1, *entry, true);
  } catch (const std::logic_error&) { // no id, or an attribute longer than the kernel's
    return 0;
  }
  if (request.size() < 40) __builtin_trap(); // a delete without a tuple
  return 0;
}
