// Bytes of a hostile server for each protocol client. The first byte selects the client, the second the size of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probes/kinds/protocol.hpp"

using namespace hanat::probes;

namespace {

const Password password{.file = "/p", .secret = Secret{"pencil"}};

/// A client that speaks in the clear up to where it starts TLS; what follows is read as if it came out of TLS.
std::unique_ptr<ProtocolClient> plain_client_for(std::uint8_t choice) {
  switch (choice % 14) {
  case 0: return send_expect({.send = "x", .expect = Pattern::text("ok")});
  case 1: return send_expect({.send = "", .expect = Pattern::expression("^(a|b)*c$")});
  case 2: return redis({.master = false});
  case 3: return redis({.linked = true, .user = "u", .password = password});
  case 4: return postgres({.writable = false, .user = "", .database = ""});
  case 5: return postgres({.writable = true, .user = "u", .database = "d"});
  case 6: return postgres({.user = "u", .password = password, .max_lag = std::chrono::seconds{9}}, choice >= 128);
  case 7: return mysql({.writable = choice >= 128, .user = "u", .database = ""});
  case 8: return mysql({.writable = true, .user = "u", .password = password, .wsrep_ready = true, .member_online = true});
  case 9: return mysql({.user = "u", .password = password}, true);
  case 10: return smtp({.hello = "gw.example"});
  case 11: return smtp({.hello = "gw.example"}, true);
  case 12: return agent({.send = ""});
  default: return tls({.host = "", .verify = false, .expires_within = std::chrono::days{14}});
  }
}

/// Every fifth choice is inside TLS.
std::unique_ptr<ProtocolClient> client_for(std::uint8_t choice) {
  static const Probe probe{.spec = {}, .server = {.address = *hanat::Address::parse("192.0.2.1"), .port = 443}};
  static const TlsOptions options{.verify = true, .name = "www.example.com"};
  auto plain = plain_client_for(choice / 5);
  return choice % 5 != 0 ? plain_client_for(choice) : tls_client(std::move(plain), options, probe, nullptr);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto client = client_for(data[0]);
  const std::size_t piece = data[1] + 1U;
  std::string_view rest{reinterpret_cast<const char*>(data) + 2, size - 2};
  Step step = client->begin();
  while (!step.verdict && !rest.empty()) {
    if (step.work) {
      step.work();
      step = client->on_worked();
      continue;
    }
    step = client->on_data(rest.substr(0, piece));
    if (step.send.size() > std::size_t{64} << 10) std::abort();
    rest.remove_prefix(std::min(piece, rest.size()));
  }
  if (!step.verdict && size > std::size_t{512} << 10) std::abort(); // the input is limited
  (void)client->closed();
  return 0;
}
