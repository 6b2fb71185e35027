// stdout and the socket.
#include "cli/requests.hpp"

#include <cstdio>
#include <cstdlib>

#include "cli/remedy.hpp"
#include "cli/screen.hpp"
#include "daemon/api/client.hpp"

namespace hanat::cli {
namespace {

constexpr const char* default_socket = "/run/hanat/control.sock";

} // namespace

using nlohmann::json;

Exit print(const std::string& text, Exit status) {
  const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (whole) return status;
  std::perror("hanatctl: stdout");
  return status == Exit::done ? Exit::refused : status;
}

Exit print_json(const json& value, Exit status) { return print(value.dump(2, ' ', false, json::error_handler_t::replace) + "\n", status); }

Exit print_message(const Invocation& invocation, const std::string& text) {
  return print(wrapped_message(text, view_of(invocation.color).width));
}

std::string json_line(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

std::string socket_of(const Invocation& invocation) {
  if (invocation.socket) return *invocation.socket;
  const char* const named = std::getenv("HANAT_SOCKET"); // NOLINT(concurrency-mt-unsafe): one thread
  return named != nullptr && *named != '\0' ? named : default_socket;
}

json request(const Invocation& invocation, const char* method, const json& parameters, std::chrono::milliseconds deadline) {
  return call(socket_of(invocation), method, parameters, deadline);
}

} // namespace hanat::cli
