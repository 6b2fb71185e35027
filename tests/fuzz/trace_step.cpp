// Parses the input as a report about a traced packet, and as the headers in one: nothing outside it is read, and a step names its chain.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include <libmnl/libmnl.h>

#include "nat/nftables/trace_step.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hanat::nat;
  if (size < 2) return 0;
  const std::size_t split = data[0] % size;
  const std::vector<std::uint8_t> network(data + 1, data + 1 + split), transport(data + 1 + split, data + size);
  traced_header_in(network, transport);
  if (size < sizeof(nlmsghdr) || size > 4'096) return 0;
  std::vector<std::uint8_t> bytes(data, data + size); // exactly as long as the input, so that the sanitizer finds a read past its end
  auto& header = *reinterpret_cast<nlmsghdr*>(bytes.data());
  header.nlmsg_len = static_cast<std::uint32_t>(size);
  TraceInterfaces interfaces;
  const auto step = trace_step_in(header, interfaces);
  if (step && (step->table.empty() || step->chain.empty())) std::abort();
  return 0;
}
