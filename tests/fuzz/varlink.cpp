// The bytes of an untrusted client of the control socket: framing in two pieces, the request, the check of its parameters, the reply. Not
// here: a daemon's reply (status).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/api/methods.hpp"
#include "daemon/api/varlink.hpp"

namespace {

constexpr std::size_t limit = 4096;

void reply_to(std::string_view message) {
  using namespace hanat;
  const auto parsed = varlink::parse_request(message);
  const auto* const request = std::get_if<varlink::Request>(&parsed);
  if (request == nullptr) return;
  const Method* const method = find_method(request->method);
  if (method != nullptr) (void)check_parameters(*method, request->parameters);
  const auto bytes = varlink::reply_bytes(request->parameters);
  if (bytes.find('\0') != bytes.size() - 1) std::abort();
  if (varlink::parse_json({bytes.data(), bytes.size() - 1}).at("parameters") != request->parameters) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const std::size_t cut = size == 0 ? 0 : data[0] % (size + 1);
  hanat::varlink::Framer framer{limit};
  for (const auto part : {bytes.substr(0, cut), bytes.substr(cut)}) {
    framer.feed(part);
    while (!framer.too_long()) {
      const auto message = framer.next();
      if (!message) break;
      if (message->size() > limit || message->find('\0') != std::string::npos) std::abort();
      reply_to(*message);
    }
  }
  return 0;
}
