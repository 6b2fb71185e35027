// What another gateway sends: read, written and read again; nothing that it says may be lost or invented. And replies to forwarded
// commands. Not here: HTTP, which is libmicrohttpd's and libcurl's.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/control/forwarding.hpp"
#include "daemon/peer/peer_feed.hpp"
#include "daemon/peer/peer_match.hpp"
#include "daemon/peer/peer_page.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hanat;
  const std::string text{reinterpret_cast<const char*>(data), size};
  const Time now{std::chrono::hours{1'000}};
  const WallTime wall{std::chrono::milliseconds{1'769'853'600'123}};
  (void)parse_command_reply(text);
  (void)run_command(text, "198.18.9.2", [](const Call&) { return nlohmann::json::object(); });
  const auto parsed = parse_peer_page(text, now, wall);
  if (const auto* why = std::get_if<std::string>(&parsed)) {
    if (why->empty()) std::abort();
    return 0;
  }
  const auto& page = std::get<PeerPage>(parsed);
  const auto again = parse_peer_page(to_json_text(page, now, wall), now, wall);
  const auto* same = std::get_if<PeerPage>(&again);
  if (same == nullptr || !(*same == page)) std::abort();
  PeerView view;
  for (const std::string& name : view.add(page)) view.set_difference(name, compare_services(nullptr, view.find(name), true));
  (void)view.config_texts(20);
  return 0;
}
