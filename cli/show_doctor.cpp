// Findings, then what real clients see, then what was checked.
#include "cli/show_doctor.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

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

class Page {
public:
  Page(const View& view) : view_(view), paint_(view.colour) {}
  /// One fact: wrapped lines, of which the first begins with `mark`.
  void add(Colour colour, const std::string& mark, const std::string& text) {
    bool first = true;
    const std::size_t width = view_.width == 0 ? 0 : std::max<std::size_t>(view_.width, 20) - mark.size();
    for (const std::string& line : wrapped(text, width, 0)) {
      text_ += (first ? paint_(colour, mark) : std::string(mark.size(), ' ')) + line + "\n";
      first = false;
    }
  }
  void blank() {
    if (!text_.empty()) text_ += "\n";
  }
  std::string take() { return std::move(text_); }

private:
  const View& view_;
  Colorizer paint_;
  std::string text_;
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

void show_finding(const SameFinding& same, Page& page) {
  const json& finding = same.finding;
  const std::string severity = text_in(finding, "severity");
  const bool problem = severity == "problem", warning = severity == "warning";
  page.add(problem   ? Colour::red
           : warning ? Colour::yellow
                     : Colour::none,
           problem   ? "!! "
           : warning ? "!  "
                     : "   ",
           (same.services.empty() ? std::string{} : listed(same.services) + ": ") + text_in(finding, "what"));
  if (const std::string seen = text_in(finding, "seen_by"); !seen.empty()) page.add(Colour::none, "   ", "seen by " + seen);
  if (const std::string remedy = text_in(finding, "remedy"); !remedy.empty()) page.add(Colour::bold, "   -> ", remedy);
}

/// What the daemon counts of real clients, as far as it does; the exit status that follows from it.
/// `known`: what is printed already.
int show_clients(const json& status, const std::set<std::string>& known, Page& page) {
  int exit = 0;
  for (const json& service : status.value("services", json::array())) {
    if (text_in(service, "target") == "none") {
      page.add(Colour::red, "!! ", fmt::format("{}: no server is up, and clients are refused", text_in(service, "name")));
      page.add(Colour::bold, "   -> ", fmt::format("hanatctl why {}", text_in(service, "name")));
      exit = 2;
    }
    const auto path = service.find("path");
    if (path == service.end() || !path->is_object()) continue;
    const std::size_t unanswered = number_in(*path, "unanswered_clients"), refused = number_in(*path, "refused_clients");
    const std::string name = text_in(service, "name");
    if (unanswered > 0) {
      page.add(Colour::red, "!! ", fmt::format("{}: {} got no answer in the last minute", name, plural(unanswered, "client")));
      for (const json& finding : path->value("findings", json::array())) {
        if (known.contains(text_in(finding, "what"))) continue;
        page.add(Colour::none, "   ", text_in(finding, "what"));
        if (const std::string remedy = text_in(finding, "remedy"); !remedy.empty()) page.add(Colour::bold, "   -> ", remedy);
      }
    }
    if (refused > 0) page.add(Colour::yellow, "!  ", fmt::format("{}: {} refused in the last minute", name, plural(refused, "client")));
    exit = std::max(exit, unanswered > 0 ? 2 : refused > 0 ? 1 : 0);
  }
  return exit;
}

void show_checked(const json& reply, bool well, Page& page) {
  std::vector<std::string> whole, broken, skipped;
  double slowest = 0;
  for (const json& service : reply.at("checked")) {
    const std::size_t sent = number_in(service, "sent"), answered = number_in(service, "answered");
    (sent == 0 ? skipped : sent == answered ? whole : broken).push_back(text_in(service, "service"));
    slowest = std::max(slowest, service.value("slowest_ms", 0.0));
  }
  const std::string by = text_in(reply, "interface");
  if (!whole.empty())
    page.add(
        Colour::none, "",
        well ? fmt::format("{}: the whole way works ({:.1f} ms by {}); forwarding, routes, rp_filter, conntrack and listen addresses are "
                           "in order",
                           plural(whole.size(), "service"), slowest, by)
             : fmt::format("{}: hanatd's own client gets through ({:.1f} ms by {})", plural(whole.size(), "service"), slowest, by));
  if (!broken.empty()) page.add(Colour::none, "", fmt::format("{}: hanatd's own client did not get through", listed(broken)));
  if (!skipped.empty())
    page.add(Colour::none, "", fmt::format("{}: nothing was sent (no server is up, or its protocol has no probe for it)", listed(skipped)));
}

} // namespace

DoctorText show_doctor(const json& reply, const json& status, const View& view) {
  std::size_t problems = 0, warnings = 0;
  const std::vector<SameFinding> all = by_cause(reply.at("findings"));
  for (const SameFinding& same : all) {
    const std::string severity = text_in(same.finding, "severity");
    problems += severity == "problem" ? 1U : 0U;
    warnings += severity == "warning" ? 1U : 0U;
  }
  Page page(view);
  const std::string failure = text_in(reply, "failure");
  if (problems + warnings > 0)
    page.add(problems > 0 ? Colour::red : Colour::yellow, "",
             problems > 0 ? plural(problems, "problem") + (warnings > 0 ? ", " + plural(warnings, "warning") : "")
                          : plural(warnings, "warning"));
  for (const SameFinding& same : all) {
    page.blank();
    show_finding(same, page);
  }
  page.blank();
  std::set<std::string> known;
  for (const SameFinding& same : all) known.insert(text_in(same.finding, "what"));
  const int clients = show_clients(status, known, page);
  if (!failure.empty()) page.add(Colour::yellow, "!  ", "hanatd's own client could not be sent: " + failure);
  show_checked(reply, all.empty() && failure.empty() && clients == 0, page);
  const int exit = problems > 0 ? 2 : warnings > 0 || !failure.empty() ? 1 : 0;
  return {.exit = std::max(exit, clients), .text = page.take()};
}

} // namespace hanat::cli
