// The requests are those of the commands force-backup, force-primary, auto, disable and enable, and so are the texts of the replies.
#include "cli/top_command.hpp"

#include <csignal>
#include <exception>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/replies.hpp"
#include "cli/requests.hpp"
#include "cli/screen.hpp"
#include "cli/top/loop.hpp"
#include "cli/top/terminal.hpp"
#include "cli/top_texts.hpp"
#include "daemon/api/client.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;
using top::Change;

/// How a change is asked for, and what its reply says.
struct Method {
  const char* name;
  const char* command; // the word that a refusal names
  json parameters;
};

Method method_of(const Change& change) {
  const json with_server = {{"service", change.service}, {"server", change.server}};
  switch (change.kind) {
  case Change::Kind::force: return {"Force", change.server == "primary" ? "force-primary" : "force-backup", with_server};
  case Change::Kind::release: return {"Auto", "auto", {{"service", change.service}}};
  case Change::Kind::disable: return {"Disable", "disable", with_server};
  case Change::Kind::enable: return {"Enable", "enable", with_server};
  }
  return {};
}

std::string reply_text(const Change& change, const json& reply) {
  switch (change.kind) {
  case Change::Kind::force: return force_reply(reply, std::nullopt, wall_now());
  case Change::Kind::release: return auto_reply(reply, wall_now());
  case Change::Kind::disable: return disable_reply(reply, wall_now());
  case Change::Kind::enable: return enable_reply(reply, wall_now());
  }
  return {};
}

top::Answer carry_out(const std::string& socket, const Change& change, int cancel) {
  constexpr std::chrono::seconds deadline{10};
  const Method method = method_of(change);
  try {
    const json reply = call(socket, method.name, method.parameters, deadline, cancel);
    return {.done = true, .text = reply_text(change, reply) + forwarded_reply(reply)};
  } catch (const Refusal& refusal) {
    return {.done = false, .text = refusal_text(refusal, method.command, change.service)};
  } catch (const json::exception&) { // it was done by then
    return {.done = true, .text = "hanatd's reply is not what this hanatctl expects: are their versions different?"};
  } catch (const std::exception& error) {
    return {.done = false, .text = error.what()};
  }
}

} // namespace

Exit run_top(const Invocation& invocation) {
  if (invocation.json) throw UsageError("top is for a terminal; for programs: hanatctl --json status, hanatctl --json events --follow");
  if (const std::string error = top::terminal_error(); !error.empty()) throw UsageError(error);
  const std::string socket = socket_of(invocation);
  const View view = view_of(invocation.color);
  const top::Texts texts{
      .head = [host = view.host](const DaemonStatus& daemon, WallTime now) { return top_head(daemon, host, now); },
      .row = top_row,
      .event = [](const HistoryEntry& entry) { return top_event(entry, wall_now()); },
      .perform = [socket](const Change& change, int cancel) { return carry_out(socket, change, cancel); },
  };
  const int signal = top::run(socket, texts, view.colour);
  if (signal == 0) return Exit::done;
  std::signal(signal, SIG_DFL); // the shell is to know what ended it
  std::raise(signal);
  return Exit::refused;
}

} // namespace hanat::cli
