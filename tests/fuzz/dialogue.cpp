// What a hostile server says to each kind of dialogue. The first byte chooses the kind, the second how the rest is cut into pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probes/dialogue.hpp"

using namespace hanat::probes;

namespace {

std::unique_ptr<Dialogue> chosen(std::uint8_t choice) {
  switch (choice % 9) {
  case 0: return talk({.send = "x", .expect = Pattern::text("ok")});
  case 1: return talk({.send = "", .expect = Pattern::expression("^(a|b)*c$")});
  case 2: return redis({.master = false});
  case 3: return redis({.master = true});
  case 4: return postgres({.writable = false, .user = "", .database = ""});
  case 5: return postgres({.writable = true, .user = "u", .database = "d"});
  case 6: return mysql({.writable = choice % 2 == 1, .user = "u", .database = ""});
  case 7: return smtp({.hello = "gw.example"});
  default: return tls({.host = "www.example.com", .verify = true, .expires_within = std::chrono::days{14}}, {});
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto dialogue = chosen(data[0]);
  const std::size_t piece = data[1] + 1U;
  std::string_view rest{reinterpret_cast<const char*>(data) + 2, size - 2};
  Turn turn = dialogue->begin();
  while (!turn.verdict && !rest.empty()) {
    turn = dialogue->hear(rest.substr(0, piece));
    if (turn.say.size() > std::size_t{64} << 10) std::abort();
    rest.remove_prefix(std::min(piece, rest.size()));
  }
  if (!turn.verdict && size > std::size_t{512} << 10) std::abort(); // nobody is heard for ever
  (void)dialogue->closed();
  return 0;
}
