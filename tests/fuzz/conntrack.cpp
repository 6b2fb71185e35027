// Bytes as one message of a conntrack dump: parsing reads nothing outside them, and what it accepts can be deleted entry by entry.
#include <cstring>
#include <stdexcept>

#include "nat/conntrack.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hanat::nat;
  if (size < sizeof(nlmsghdr) || size > 4'096) return 0;
  Datagram bytes(data, data + size); // exactly as long as the input: a read past its end is seen
  auto& header = *reinterpret_cast<nlmsghdr*>(bytes.data());
  header.nlmsg_len = static_cast<std::uint32_t>(size);
  parse_entry_counter(header);
  const auto entry = parse_entry(header);
  if (!entry) return 0;
  progress_of(*entry);
  Datagram request;
  try {
    put_entry_delete(request, 1, *entry, true);
  } catch (const std::logic_error&) { // no id, or attributes longer than any of the kernel's
    return 0;
  }
  if (request.size() < 40) __builtin_trap(); // a delete that names nothing
  return 0;
}
