// One text for each kind of line, with the commands that set the hook up.
#include "cli/import/keepalived_alerts.hpp"

#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace hanat::cli::imports {
namespace {

constexpr std::string_view sandbox =
    "A hook runs as the user hanat in the sandbox of hanatd's unit. For a script that needs more, hook = [\"/usr/lib/hanat/hanat-hook\", "
    "\"NAME\"] has hanat-hook@NAME.service run /etc/hanat/hooks/NAME outside of it: systemctl enable --now hanat-hook@NAME.path";

bool says_no(const Block& line) {
  const std::string& word = line.argument(1);
  return word == "false" || word == "off" || word == "no";
}

std::string as_at(const Place& place) { return fmt::format("as for {}:{}", place.file, place.line); }

std::string words_of(const Block& block) {
  std::string words;
  for (const Block& child : block.children)
    for (const std::string& word : child.arguments) words += (words.empty() ? "" : " ") + word;
  return words;
}

} // namespace

Alerts::Alerts(const std::vector<Block>& blocks) {
  for (const Block& block : blocks) {
    if (block.argument(0) != "global_defs") continue;
    if (const Block* const list = block.child("notification_email")) recipients_ = words_of(*list);
    for (const std::string_view name : {"smtp_alert", "smtp_alert_checker"}) // the second one has the last word
      if (const Block* const line = block.child(name)) wanted_ = !says_no(*line);
  }
}

std::string Alerts::mail_steps(const Place& place) {
  if (mail_) return fmt::format("a hook sends mails, {}", as_at(*mail_));
  mail_ = place;
  std::string to = recipients_.substr(0, recipients_.find(' '));
  if (to.empty()) to = "root";
  return fmt::format("in hanat a hook sends mails about servers. In hanat.toml, in [hanatd]:\n"
                     "  hook = [\"/usr/lib/hanat/hanat-hook\", \"mail\"]\n"
                     "and the example that mails by /usr/sbin/sendmail:\n"
                     "  install -m 755 /usr/share/doc/hanat/examples/hooks/mail /etc/hanat/hooks/mail\n"
                     "  systemctl enable --now hanat-hook@mail.path\n"
                     "  systemctl edit hanat-hook@mail     # [Service] Environment=HANAT_MAIL_TO={}\n"
                     "HOOKS in hanatd(8) says of what it is told",
                     to);
}

std::string Alerts::server_steps(const Block& line) {
  if (server_) return fmt::format("a hook calls a program of yours, {}", as_at(*server_));
  server_ = line.place;
  std::string old;
  for (const std::string& word : std::span{line.arguments}.subspan(1)) old += (old.empty() ? "" : " ") + word;
  return fmt::format(
      "in hanat the hook of [hanatd] is told of every server that goes up or down. A death and the failover that follows are one call, "
      "so the variables do not name each: the example reads all events, and calls a script of yours with service, server, address and "
      "up or down. In hanat.toml, in [hanatd]:\n"
      "  hook = [\"/etc/hanat/hooks/servers\", \"/path/of/script\"]\n"
      "and the example:\n"
      "  install -m 755 /usr/share/doc/hanat/examples/hooks/servers /etc/hanat/hooks/servers\n"
      "In the script:\n"
      "  [ \"$4\" = {} ] && exec {}\n"
      "Where the old one only follows the traffic, hook = [\"/path\"] in the service is told where new connections go "
      "(HANAT_TO, HANAT_TO_ADDRESS).\n{}",
      line.argument(0) == "notify_up" ? "up" : "down", old.empty() ? "/path" : old, sandbox);
}

std::string Alerts::quorum_steps(const Place& place) {
  if (quorum_) return fmt::format("the hook of the service calls a program of yours, {}", as_at(*quorum_));
  quorum_ = place;
  return fmt::format(
      "in hanat the hook of the service, hook = [\"/path\"], is told where its new connections go: HANAT_TO is none when the "
      "last server is lost, and names a server when one serves again.\n{}",
      sandbox);
}

std::optional<Note> Alerts::of_server(const Block& line) {
  const std::string& name = line.argument(0);
  const auto note = [&](std::string why, Loss loss) { return Note{line.place, line.text(), std::move(why), loss}; };
  if (name == "smtp_alert" && says_no(line)) return note("hanat sends no mails unless a hook does", Loss::needless);
  if (name == "smtp_alert") return note(mail_steps(line.place), Loss::lost);
  if (name == "notify_up" || name == "notify_down") return note(server_steps(line), Loss::lost);
  if (name == "quorum_up" || name == "quorum_down") return note(quorum_steps(line.place), Loss::lost);
  return std::nullopt;
}

Note Alerts::of_recipients(const Block& line) {
  return {line.place, fmt::format("notification_email {{ {} }}", words_of(line)),
          fmt::format("keepalived goes on mailing to them what VRRP does, and nothing more about servers: {}", mail_steps(line.place)),
          Loss::lost};
}

void Alerts::add_global(const Block& global_defs, std::vector<Note>& notes) {
  const auto add = [&](const Block& line, std::string why, Loss loss) {
    notes.push_back({line.place, line.text(), std::move(why), wanted_ ? loss : Loss::needless});
  };
  for (const Block& line : global_defs.children) {
    const std::string& name = line.argument(0);
    if (!wanted_ && (name == "notification_email" || name == "smtp_server" || name == "notification_email_from"))
      add(line, "keepalived did not mail about servers, and goes on mailing about VRRP", Loss::needless);
    else if (name == "notification_email")
      notes.push_back(of_recipients(line));
    else if (name == "smtp_server")
      add(line,
          fmt::format("the hook hands its mails to /usr/sbin/sendmail: let that program relay to {} (Postfix: relayhost; msmtp: host)",
                      line.argument(1)),
          Loss::lost);
    else if (name == "notification_email_from")
      add(line, "mails of the hook come from the user hanat; HANAT_MAIL_FROM beside HANAT_MAIL_TO names another sender", Loss::lost);
    else if ((name == "smtp_alert" || name == "smtp_alert_checker") && !says_no(line))
      add(line, mail_steps(line.place), Loss::lost);
    else if (name.starts_with("smtp_"))
      add(line, "it is about the mails of keepalived itself, where it stays", Loss::needless);
  }
}

} // namespace hanat::cli::imports
