// Findings, then what real clients see, then what was checked.
#include "cli/show_doctor.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/remedy.hpp"
#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr std::size_t listed_at_most = 5; // services that are listed by name

std::string text_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? escaped(found->get<std::string>()) : std::string{};
}
std::size_t number_in(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::size_t>() : 0;
}

/// How many of each are marked on the page.
struct Tally {
  std::size_t problems = 0, warnings = 0;
};

class Page {
public:
  explicit Page(const View& view) : view_(view), paint_(view.colour) {}
  /// One fact: wrapped lines, of which the first begins with `mark`.
  void add(Colour colour, const std::string& mark, const std::string& text) {
    bool first = true;
    const std::size_t width = view_.width == 0 ? 0 : std::max<std::size_t>(view_.width, 20) - mark.size();
    for (const std::string& line : wrapped(text, width, 0)) {
      text_ += (first ? paint_(colour, mark) : std::string(mark.size(), ' ')) + line + "\n";
      first = false;
    }
  }
  void add_problem(const std::string& text) {
    ++tally_.problems;
    add(Colour::red, "!! ", text);
  }
  void add_warning(const std::string& text) {
    ++tally_.warnings;
    add(Colour::yellow, "!  ", text);
  }
  void add_detail(const std::string& text) { add(Colour::none, "   ", text); }
  void add_remedy(const std::string& remedy) {
    for (const std::string& line : remedy_lines(remedy, view_.width, 3)) text_ += paint_(Colour::bold, line) + "\n";
  }
  void blank() {
    if (!text_.empty() && !text_.ends_with("\n\n")) text_ += "\n";
  }
  WallTime now() const { return view_.now; }
  const Tally& tally() const { return tally_; }
  std::string take() { return std::move(text_); }

private:
  const View& view_;
  Colorizer paint_;
  std::string text_;
  Tally tally_;
};

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t index = 0; index < std::min(names.size(), listed_at_most); ++index) text += (index == 0 ? "" : ", ") + names[index];
  return names.size() > listed_at_most ? text + fmt::format(" and {} more", names.size() - listed_at_most) : text;
}

/// One finding and the services that have it.
struct SameFinding {
  json finding; // without the service
  std::vector<std::string> services;
};
std::vector<SameFinding> by_cause(const json& findings) {
  std::vector<SameFinding> all;
  for (const json& finding : findings) {
    json plain = finding;
    plain.erase("service");
    auto same = std::ranges::find(all, plain, &SameFinding::finding);
    if (same == all.end()) same = all.insert(all.end(), {.finding = std::move(plain), .services = {}});
    if (const std::string service = text_in(finding, "service"); !service.empty()) same->services.push_back(service);
  }
  return all;
}

/// "client 198.18.0.7 by eth0": the name of an interface may be a word.
std::string on_interface(const std::string& seen) {
  const std::size_t by = seen.rfind(" by ");
  return by == std::string::npos ? seen : seen.substr(0, by) + " on interface " + seen.substr(by + 4);
}

void show_finding(const SameFinding& same, Page& page) {
  const json& finding = same.finding;
  const std::string severity = text_in(finding, "severity");
  const std::string text = fmt::format("{}{} [{}]", same.services.empty() ? std::string{} : listed(same.services) + ": ",
                                       text_in(finding, "what"), text_in(finding, "code"));
  severity == "problem" ? page.add_problem(text) : severity == "warning" ? page.add_warning(text) : page.add_detail(text);
  if (const std::string seen = text_in(finding, "seen_by"); !seen.empty()) page.add_detail("seen by " + on_interface(seen));
  if (const std::string remedy = text_in(finding, "remedy"); !remedy.empty()) page.add_remedy(remedy);
}

/// Whether this gateway is the standby of a pair.
bool is_standby(const json& status) {
  const json pair = status.value("daemon", json::object()).value("pair", json::object());
  return pair.is_object() && text_in(pair, "role") == "standby";
}

/// What the daemon counts of real clients of one service, as far as it does. Their trouble is a problem of its own only where none of
/// those that are printed already, `found`, explains it. `sent`: hanatd sent a client of its own there.
void show_clients(const json& service, const std::vector<SameFinding>& found, bool sent, bool standby, Page& page) {
  const std::string name = text_in(service, "name");
  if (text_in(service, "mode") == "observe") {
    if (!sent) {
      page.blank();
      page.add_detail(fmt::format("{}: mode observe, so hanatd sent no client of its own", name));
    }
  } else if (text_in(service, "target") == "none") {
    page.blank();
    const std::string text = fmt::format("{}: no server is up, and clients {} refused", name, standby ? "would be" : "are");
    standby ? page.add_warning(text + " if this gateway took over") : page.add_problem(text);
    page.add_remedy("hanatctl why " + name);
  }
  const auto path = service.find("path");
  if (path == service.end() || !path->is_object()) return;
  const std::size_t unanswered = number_in(*path, "unanswered_clients"), refused = number_in(*path, "refused_clients");
  if (unanswered > 0) {
    const bool explained = std::ranges::any_of(found, [&](const SameFinding& same) {
      const bool of_it = same.services.empty() || std::ranges::find(same.services, name) != same.services.end();
      return of_it && text_in(same.finding, "severity") == "problem";
    });
    const std::string text = fmt::format("{}: {} got no answer in the last minute", name, plural(unanswered, "client"));
    page.blank();
    explained ? page.add_detail(text) : page.add_problem(text);
    for (const json& finding : path->value("findings", json::array())) {
      const auto same = [&](const SameFinding& known) { return text_in(known.finding, "what") == text_in(finding, "what"); };
      if (std::ranges::any_of(found, same)) continue;
      page.add_detail(fmt::format("{} [{}]", text_in(finding, "what"), text_in(finding, "code")));
      if (const std::string remedy = text_in(finding, "remedy"); !remedy.empty()) page.add_remedy(remedy);
    }
  }
  if (refused > 0) {
    page.blank();
    page.add_warning(fmt::format("{}: {} refused in the last minute", name, plural(refused, "client")));
  }
}

/// The services that hanatd sent a client of its own to.
std::set<std::string> sent_to(const json& reply) {
  std::set<std::string> names;
  for (const json& service : reply.at("checked"))
    if (number_in(service, "sent") > 0) names.insert(text_in(service, "service"));
  return names;
}

/// What stopped single clients lately: a list of blocked addresses, say. Others are served, so it is no fault of the way.
void show_single_clients(const json& reply, Page& page) {
  const json single = reply.value("clients", json::array());
  if (single.empty()) return;
  page.blank();
  page.add(Colour::none, "", "clients that were stopped in the last hour by a rule about their addresses:");
  for (const json& finding : single) {
    const auto age = seconds_since(text_in(finding, "at"), page.now());
    page.add(Colour::yellow, "!  ",
             fmt::format("{}: {} [{}]", text_in(finding, "service"), text_in(finding, "what"), text_in(finding, "code")));
    page.add_detail(fmt::format("{}, {}{}", on_interface(text_in(finding, "seen_by")), local_time(text_in(finding, "at"), page.now()),
                                age ? fmt::format(" ({} ago)", duration(*age)) : ""));
    if (const std::string remedy = text_in(finding, "remedy"); !remedy.empty()) page.add_remedy(remedy);
  }
}

/// Of these it was said already that no client is sent.
std::set<std::string> observed_in(const json& status) {
  std::set<std::string> names;
  for (const json& service : status.value("services", json::array()))
    if (text_in(service, "mode") == "observe") names.insert(text_in(service, "name"));
  return names;
}

/// False: it did not say that all is well.
bool show_checked(const json& reply, const json& status, bool well, Page& page) {
  std::vector<std::string> whole, broken, skipped;
  const std::set<std::string> observed = observed_in(status);
  double slowest = 0;
  for (const json& service : reply.at("checked")) {
    const std::size_t sent = number_in(service, "sent"), answered = number_in(service, "answered");
    const std::string name = text_in(service, "service");
    if (sent > 0 || !observed.contains(name)) (sent == 0 ? skipped : sent == answered ? whole : broken).push_back(name);
    slowest = std::max(slowest, service.value("slowest_ms", 0.0));
  }
  const std::string by = text_in(reply, "interface");
  const std::string slow = fmt::format("({:.1f} ms on interface {})", slowest, by);
  if (!whole.empty())
    page.add(Colour::none, "",
             well ? fmt::format("{}: the whole way works {}; forwarding, routes, rp_filter, conntrack and listen addresses are in order",
                                plural(whole.size(), "service"), slow)
                  : fmt::format("{}: hanatd's own client gets through {}", plural(whole.size(), "service"), slow));
  if (!broken.empty()) page.add(Colour::none, "", fmt::format("{}: hanatd's own client did not get through", listed(broken)));
  if (!skipped.empty() && is_standby(status))
    page.add(Colour::none, "",
             fmt::format("{}: settings were looked at, and no client is sent by a standby: replies would take the way over the active "
                         "gateway; run hanatctl doctor there, too",
                         listed(skipped)));
  else if (!skipped.empty())
    page.add(
        Colour::none, "",
        fmt::format("{}: nothing was sent (it listens nowhere, no server is up, or its protocol has no probe for it)", listed(skipped)));
  return !whole.empty() && well;
}

/// "2 problems, 1 warning"; empty: neither.
std::string head_of(const Tally& tally) {
  std::string text = tally.problems > 0 ? plural(tally.problems, "problem") : "";
  if (tally.warnings > 0) text += (text.empty() ? "" : ", ") + plural(tally.warnings, "warning");
  return text;
}

} // namespace

DoctorText show_doctor(const json& reply, const json& status, const View& view) {
  const std::vector<SameFinding> all = by_cause(reply.at("findings"));
  const std::string failure = text_in(reply, "failure");
  Page page{view};
  for (const SameFinding& same : all) {
    page.blank();
    show_finding(same, page);
  }
  const std::set<std::string> sent = sent_to(reply);
  for (const json& service : status.value("services", json::array()))
    show_clients(service, all, sent.contains(text_in(service, "name")), is_standby(status), page);
  show_single_clients(reply, page);
  page.blank();
  if (!failure.empty()) page.add_warning("hanatd's own client could not be sent: " + failure);
  const Tally tally = page.tally();
  const bool well = all.empty() && tally.problems + tally.warnings == 0;
  const bool told = show_checked(reply, status, well, page);
  if (tally.problems + tally.warnings == 0 && !told)
    page.add(Colour::none, "",
             fmt::format("nothing found: forwarding, routes, rp_filter, conntrack, listen addresses and the rules of other programs were "
                         "examined, for {}",
                         plural(reply.at("checked").size(), "service")));
  Page whole{view};
  if (const std::string head = head_of(tally); !head.empty()) {
    whole.add(tally.problems > 0 ? Colour::red : Colour::yellow, "", head);
    whole.blank();
  }
  return {.exit = tally.problems > 0 ? 2 : tally.warnings > 0 ? 1 : 0, .text = whole.take() + page.take()};
}

} // namespace hanat::cli
