// The client's end of the control socket, for hanatctl and tests: one call, one reply, blocking with a deadline.
// Not here: which calls to make, how to print the replies (cli).
#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace hanat {

/// No daemon replies at the socket: it is not running, hangs, or permission is denied. what() says which, and what to do.
struct NoDaemon : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// The daemon replied with an error.
struct Refusal : std::runtime_error {
  Refusal(std::string error_name, const std::string& message, nlohmann::json error_parameters)
      : std::runtime_error(message), name(std::move(error_name)), parameters(std::move(error_parameters)) {}
  std::string name; // without the interface's name: "Refused", "NotPermitted", ...
  nlohmann::json parameters;
};

/// Calls io.hanat.Control.<method> at the socket and returns the reply's parameters. Throws NoDaemon or Refusal. `deadline`: until the
/// reply begins, and for each pause in it; a long one may take longer. `cancel`: a descriptor that becomes readable when nobody waits for
/// the reply any more, which is NoDaemon, too; -1: there is none.
nlohmann::json call(const std::string& socket_path, const std::string& method, const nlohmann::json& parameters = nlohmann::json::object(),
                    std::chrono::milliseconds deadline = std::chrono::seconds{10}, int cancel = -1);

/// The same for a reply with a long list, of whose elements the text of each is passed on when it has come: a tree of ten thousand services
/// takes longer. `on_element` throws nlohmann::json::parse_error for what is no JSON. The parameters that are returned have an empty list
/// in its place.
nlohmann::json call_list(const std::string& socket_path, const std::string& method, const nlohmann::json& parameters, std::string_view list,
                         const std::function<void(std::string_view)>& on_element,
                         std::chrono::milliseconds deadline = std::chrono::seconds{10}, int cancel = -1);

/// Calls a method that replies again and again, and passes the parameters of each reply on until `on_reply` returns false. The deadline is
/// that of the first reply. Throws NoDaemon, also when the daemon ends, or Refusal.
void call_more(const std::string& socket_path, const std::string& method, const nlohmann::json& parameters,
               const std::function<bool(const nlohmann::json&)>& on_reply, std::chrono::milliseconds deadline = std::chrono::seconds{10},
               int cancel = -1);

} // namespace hanat
