// Bytes of a hostile server for each protocol client. The first byte selects the client, the second the size of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probes/kinds/protocol.hpp"

using namespace hanat::probes;

namespace {

std::unique_ptr<ProtocolClient> client_for(std::uint8_t choice) {
  switch (choice % 10) {
  case 0: return send_expect({.send = "x", .expect = Pattern::text("ok")});
  case 1: return send_expect({.send = "", .expect = Pattern::expression("^(a|b)*c$")});
  case 2: return redis({.master = false});
  case 3: return redis({.master = true});
  case 4: return postgres({.writable = false, .user = "", .database = ""});
  case 5: return postgres({.writable = true, .user = "u", .database = "d"});
  case 6: return mysql({.writable = choice % 2 == 1, .user = "u", .database = ""});
  case 7: return smtp({.hello = "gw.example"});
  case 8: return agent({.send = ""});
  default: return tls({.host = "www.example.com", .verify = true, .expires_within = std::chrono::days{14}}, {});
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto client = client_for(data[0]);
  const std::size_t piece = data[1] + 1U;
  std::string_view rest{reinterpret_cast<const char*>(data) + 2, size - 2};
  Step step = client->begin();
  while (!step.verdict && !rest.empty()) {
    step = client->on_data(rest.substr(0, piece));
    if (step.send.size() > std::size_t{64} << 10) std::abort();
    rest.remove_prefix(std::min(piece, rest.size()));
  }
  if (!step.verdict && size > std::size_t{512} << 10) std::abort(); // the input is limited
  (void)client->closed();
  return 0;
}
