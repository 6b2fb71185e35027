// JSON: {"version": 1, "method", "parameters", "by"} there, {"version": 1, "result"} or {"version": 1, "error": {"name", "message"}} back.
#include "daemon/control/forwarding.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "daemon/api/methods.hpp"
#include "daemon/api/varlink.hpp"
#include "daemon/control/parameters.hpp"
#include "nat/printable.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr int command_version = 1;
constexpr std::size_t longest_name = 256; // bytes, of who asks
constexpr std::array<std::string_view, 4> forwarded_methods = {"Force", "Auto", "Disable", "Enable"};

std::string error_bytes(const ControlError& error) {
  return varlink::to_text(
      {{"version", command_version}, {"error", {{"name", error.name}, {"message", error.message}, {"parameters", error.parameters}}}});
}

ControlError unreadable(const std::string& what) {
  return {.name = "Failed", .message = fmt::format("the active gateway's reply cannot be read ({}): see hanatctl status there", what)};
}

/// The call of a command. Throws ControlError.
Call call_of(const json& command, const std::string& from) {
  const auto refuse = [](const std::string& message) { return ControlError{.name = "Failed", .message = message}; };
  if (!command.is_object() || command.value("version", 0) != command_version)
    throw refuse(fmt::format("the active gateway knows version {} of forwarded commands: install the same hanatd on both, or run the "
                             "command there",
                             command_version));
  Call call{.method = command.at("method").get<std::string>(), .parameters = command.at("parameters"), .peer = {}};
  const Method* const method = is_forwarded(call.method) ? find_method(call.method) : nullptr;
  if (method == nullptr || !call.parameters.is_object()) throw refuse("this command is not one that a gateway forwards");
  if (const auto wrong = check_parameters(*method, call.parameters)) bad_parameter(wrong->parameter, wrong->message);
  call.by = fmt::format("{} at {}", printable(command.at("by").get<std::string>().substr(0, longest_name)), from);
  call.may_change = true; // the other gateway has seen to that
  return call;
}

} // namespace

bool is_forwarded(const std::string& method) { return std::ranges::find(forwarded_methods, method) != forwarded_methods.end(); }

std::string command_text(const Call& call) {
  const auto text = [&call](const char* key) {
    const auto found = call.parameters.find(key);
    return found == call.parameters.end() || !found->is_string() ? std::string{} : printable(found->get<std::string>());
  };
  const bool all = call.parameters.value("all", json()) == json(true);
  const std::string service = all ? " --all" : text("service").empty() ? "" : " " + text("service");
  const std::string server = text("server");
  if (call.method == "Auto") return "auto" + service;
  if (call.method == "Disable") return fmt::format("disable{} {}", service, server);
  if (call.method == "Enable") return fmt::format("enable{} {}", service, server);
  if (server == "primary") return "force-primary" + service;
  return fmt::format("force-backup{}{}", service, server == any_backup ? "" : " --server " + server);
}

std::string command_bytes(const Call& call, const std::string& by) {
  return varlink::to_text({{"version", command_version}, {"method", call.method}, {"parameters", call.parameters}, {"by", by}});
}

std::variant<json, ControlError> parse_command_reply(const std::string& body) try {
  const json reply = varlink::parse_json(body);
  if (!reply.is_object() || reply.value("version", 0) != command_version) return unreadable("another version");
  if (const auto result = reply.find("result"); result != reply.end() && result->is_object()) return *result;
  const json& error = reply.at("error");
  ControlError refusal{.name = error.at("name"), .message = error.at("message")};
  static constexpr std::array<std::string_view, 5> names = {"Refused", "Failed", "UnknownService", "BadConfiguration", "InvalidParameter"};
  if (std::ranges::find(names, refusal.name) == names.end()) refusal.name = "Failed";
  if (const auto parameters = error.find("parameters"); parameters != error.end() && parameters->is_object())
    refusal.parameters = *parameters;
  return refusal;
} catch (const json::exception&) {
  return unreadable("not the JSON of a reply");
}

std::string run_command(const std::string& body, const std::string& from, const std::function<json(const Call&)>& run) {
  try {
    return varlink::to_text({{"version", command_version}, {"result", run(call_of(varlink::parse_json(body), from))}});
  } catch (const ControlError& error) {
    return error_bytes(error);
  } catch (const std::exception& error) {
    return error_bytes({.name = "Failed", .message = fmt::format("the active gateway could not carry it out: {}", error.what())});
  }
}

std::string refuse_command(const std::string& message) { return error_bytes({.name = "Refused", .message = message}); }

} // namespace hanat
