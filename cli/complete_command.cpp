// Adds the names that hanatd knows.
#include "cli/complete_command.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/completion.hpp"
#include "cli/requests.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::chrono::milliseconds typing{500}; // a hanatd that hangs must not hold up the shell for longer

/// Safe in any shell; hanatd has no other ones.
bool is_name(const std::string& text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  };
  return !text.empty() && std::ranges::all_of(text, fits);
}

void add_names(Completion& completion, const Invocation& invocation) {
  Invocation daemon = invocation;
  if (completion.socket) daemon.socket = completion.socket;
  nlohmann::json parameters = nlohmann::json::object();
  if (completion.services) parameters["prefix"] = completion.prefix;
  if (!completion.service.empty()) parameters["service"] = completion.service;
  const auto reply = request(daemon, "Names", parameters, typing);
  if (completion.services)
    for (const auto& name : reply.at("services"))
      if (auto word = name.get<std::string>(); is_name(word)) completion.candidates.push_back({.word = std::move(word)});
  if (completion.servers == Completion::Servers::none) return;
  for (const auto& server : reply.at("servers")) {
    auto role = server.at("role").get<std::string>();
    const bool fits = completion.servers == Completion::Servers::all || role != "primary";
    if (fits && is_name(role))
      completion.candidates.push_back({.word = std::move(role), .description = escaped(server.at("address").get<std::string>())});
  }
}

} // namespace

Exit run_complete(const Invocation& invocation) {
  Completion completion = complete(invocation.operand, invocation.words);
  try {
    if (completion.services || completion.servers != Completion::Servers::none) add_names(completion, invocation);
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): whoever runs the command then is told
  }
  return print(completion_lines(invocation.operand, completion));
}

} // namespace hanat::cli
