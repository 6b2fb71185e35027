// One function a method.
#include "daemon/control/inquiry.hpp"

#include <algorithm>
#include <set>
#include <variant>

#include <fmt/format.h>

#include "daemon/api/probe_answer.hpp"
#include "daemon/api/varlink.hpp"
#include "daemon/config/probe_targets.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/decision/reconfiguration.hpp"
#include "daemon/report/make_connections.hpp"
#include "daemon/report/make_status.hpp"
#include "daemon/report/observation_status.hpp"
#include "daemon/report/probe_text.hpp"
#include "daemon/util/credentials.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr std::size_t services_in_brief = 8; // of a question about all of them
constexpr std::int64_t listed_at_most = 10'000;
constexpr std::size_t reads_at_most = 4; // that wait

bool is_fine(const ServiceState& service) {
  const bool at_primary = !service.current || *service.current == 0;
  return at_primary && !service.refused && !service.force &&
         std::ranges::all_of(service.servers, [](const ServerState& server) { return server.health == Health::up; });
}

json errors_of(const std::vector<ConfigError>& errors) {
  json lines = json::array();
  for (const ConfigError& error : errors) lines.push_back(to_text(error));
  return lines;
}

ProbeAnswer answer_of(const std::string& service, const std::string& role, const probes::Probe& probe, const probes::ProbeResult& result) {
  return {.service = service,
          .role = role,
          .probe = name_of(probe),
          .outcome = std::string{to_text(result.outcome)},
          .reason = std::string{to_text(result.reason)},
          .detail = result.detail,
          .wanted = wanted_by(probe.spec, result.reason),
          .explanation = result.outcome == probes::Outcome::pass ? "" : std::string{explain(result.reason)},
          .latency_ms = std::chrono::duration<double, std::milli>(result.latency).count()};
}

/// There is nothing to probe.
ProbeAnswer not_resolved(const ServiceConfig& service, const ServerConfig& server, const FindRecord& names) {
  const HostName host = server.host.value_or(HostName{});
  std::string detail = "its address is that of another server, or of a listener of this gateway";
  for (const Family family : families_of(service))
    if (const NameRecord* const record = names({.name = host.name, .family = family}); record == nullptr || !record->address)
      detail = record != nullptr && record->failure ? record->failure->text : "no answer within a second";
  return {.service = service.name,
          .role = server.role,
          .probe = to_text(host),
          .outcome = std::string{to_text(probes::Outcome::fail)},
          .reason = "not-resolved",
          .detail = std::move(detail),
          .wanted = {},
          .explanation = "the server's name has no address; see its record in DNS, and the resolver",
          .latency_ms = 0};
}

/// A program in a text that somebody sends runs as hanatd: only root may do that.
void refuse_programs(const Config& config, const Call& call) {
  if (call.peer.uid == 0 || !call.parameters.contains("files")) return;
  for (const ServiceConfig& service : config.services)
    for (const ServerConfig& server : service.servers)
      for (const probes::ProbeSpec& probe : server.probes)
        if (probe.kind == probes::Kind::exec)
          throw ControlError{"Refused",
                             fmt::format("{} has an exec probe, and hanatd would run its program: only root may ask for that with "
                                         "a file that is not in use",
                                         service.name)};
}

} // namespace

Inquiry::Inquiry(uv_loop_t* loop, Controller& controller, History& history, std::string config)
    : controller_(controller), history_(history), config_(std::move(config)), probes_(loop), flows_(loop),
      look_up_(
          [](const std::shared_ptr<const Config>& read, const LookUps::Done& done) { done(read, [](const auto&) { return nullptr; }); }),
      reads_(loop, WorkerThread::AtEnd::leave), replies_(loop) {
  history_.on_added = [this](const HistoryEntry& entry, std::uint64_t next) { followers_.publish(entry, next); };
}

Inquiry::~Inquiry() { history_.on_added = {}; }

WhyReport Inquiry::why_one(WhyQuery query) const {
  ServiceState* const state = controller_.registry().find(query.service);
  query.group = {query.service};
  ServiceState* member = state;
  if (state != nullptr)
    for (const ServiceState* each : controller_.registry().group_of(member)) query.group.insert(each->config->name);
  query.observed = query.at.empty() && state != nullptr && state->shadow;
  WhyReport report = make_why(history_.ring(), query);
  if (!query.at.empty() || state == nullptr) return report;
  const Time now = Clock::now();
  for (const ServerState& server : state->servers)
    for (ObservationStatus& one : observation_statuses(server.role, cause_of(*state, server, now), wall_now()))
      report.pending.push_back(std::move(one));
  std::ranges::stable_sort(report.pending, {}, &ObservationStatus::at);
  report.status = hanat::report(*state, now);
  report.target = report.status->target; // what is so now, whatever the history still has
  report.why = report.status->why;
  report.since = report.status->since;
  return report;
}

/// Of one service, or in brief of those that are not fine; with a time, of those that changed before it.
Reply Inquiry::why(const json& parameters) const {
  WhyQuery query{.service = {}, .from = moment_in(parameters, "from"), .at = moment_in(parameters, "at")};
  if (query.at.empty()) query.from.clear();
  std::vector<std::string> names;
  std::size_t others = 0;
  if (const auto name = optional_of<std::string>(parameters, "service")) {
    if (!history_.knows(*name)) selected_services(controller_.registry(), {{"service", *name}});
    names.push_back(*name);
  } else {
    const auto all = selected_services(controller_.registry(), {{"all", true}});
    if (all.size() == 1)
      names.push_back(all.front()->config->name);
    else if (!query.at.empty())
      names = services_changed_before(history_.ring(), query, services_in_brief);
    else
      for (const ServiceState* service : all)
        if (!is_fine(*service) && (names.size() < services_in_brief || ++others == 0)) names.push_back(service->config->name);
  }
  json services = json::array();
  for (std::string& name : names) {
    query.service = std::move(name);
    services.push_back(why_one(query));
  }
  const bool known = history_.begin() < history_.end();
  return json{{"services", std::move(services)}, {"others", others}, {"begin", known ? json(history_[history_.begin()].at) : json()}};
}

Reply Inquiry::follow(const json& parameters) {
  const std::string service = optional_of<std::string>(parameters, "service").value_or("");
  if (!service.empty() && !history_.knows(service)) selected_services(controller_.registry(), {{"service", service}});
  return followers_.add(service, history_.end());
}

/// The file of a reload, or the texts that the call has. Read on a thread, then used.
std::shared_ptr<PendingReply> Inquiry::with_config(const json& parameters, Use use) {
  std::vector<ConfigText> texts;
  if (const auto files = parameters.find("files"); files != parameters.end() && !files->is_null()) try {
      for (const json& file : *files) texts.push_back({.name = file.at("name"), .text = file.at("text")});
    } catch (const json::exception&) {
      bad_parameter("files", "each of the files has a name and a text");
    }
  if (reads_.waiting() >= reads_at_most)
    throw ControlError{"Failed", "hanatd reads configurations for others already: try again in some seconds"};
  auto reply = std::make_shared<PendingReply>();
  auto read = std::make_shared<ReadConfig>();
  const auto job = [read, texts = std::move(texts), file = config_] {
    *read = texts.empty() ? read_config(file) : read_config(texts);
    check_hooks(*read, texts.empty() ? file : texts.front().name);
  };
  reads_.run(job, [this, read, reply, use = std::move(use)] {
    if (reply->is_over()) return;
    if (!read->config)
      return reply->fail("BadConfiguration",
                         fmt::format("the configuration has {} error{}", read->errors.size(), read->errors.size() == 1 ? "" : "s"),
                         {{"errors", errors_of(read->errors)}});
    look_up_(read->config, [read, reply, use](const std::shared_ptr<const Config>& config, const FindRecord& names) {
      if (reply->is_over()) return;
      read->config = config;
      try {
        use(*read, names, reply);
      } catch (const ControlError& error) {
        reply->fail(error.name, error.message, error.parameters);
      }
    });
  });
  return reply;
}

/// A reload refuses a group that does not exist, unless it is the one in use.
Reply Inquiry::plan(const json& parameters) {
  return with_config(parameters, [this](const ReadConfig& read, const FindRecord&, const std::shared_ptr<PendingReply>& reply) {
    controller_.plan(read.config, [this, reply, no_group = read.operators_error](const std::shared_ptr<const ReloadPlan>& result) {
      const ReloadPlan& plan = *result;
      if (reply->is_over()) return;
      const bool changed = std::ranges::find(plan.settings, "operators", &KeyChange::key) != plan.settings.end();
      if (changed && !no_group.empty())
        reply->fail("BadConfiguration", "a reload would be refused: " + no_group, {{"errors", json::array()}});
      else
        replies_.finish({reply}, plan.changes.size() > LongReplies::short_enough, [result] { return json{{"plan", *result}}; });
    });
  });
}

void Inquiry::send_probes(const std::vector<std::pair<const ServiceConfig*, const ServerConfig*>>& servers,
                          const std::shared_ptr<PendingReply>& reply, json known) {
  struct Origin {
    std::string service, role;
  };
  std::vector<probes::Probe> probes;
  std::vector<Origin> origins;
  for (const auto& [service, server] : servers)
    for (const probes::Probe& probe : probes_for(*service, *server)) {
      probes.push_back(probe);
      origins.push_back({.service = service->name, .role = server->role});
    }
  const auto done = [reply, probes, origins, known = std::move(known)](const std::vector<probes::ProbeResult>& results) {
    if (reply->is_over()) return;
    json answers = known;
    for (std::size_t index = 0; index < results.size(); ++index)
      answers.push_back(answer_of(origins[index].service, origins[index].role, probes[index], results[index]));
    reply->finish({{"answers", std::move(answers)}});
  };
  if (!probes_.start(probes, done)) throw ControlError{"Failed", "hanatd sends probes for others already: try again in some seconds"};
}

Reply Inquiry::ask(const Call& call) {
  return with_config(call.parameters,
                     [this, call](const ReadConfig& read, const FindRecord& names, const std::shared_ptr<PendingReply>& reply) {
                       refuse_programs(*read.config, call);
                       std::vector<std::pair<const ServiceConfig*, const ServerConfig*>> servers;
                       json unresolved = json::array();
                       for (const ServiceConfig& service : read.config->services)
                         for (const ServerConfig& server : service.servers) {
                           servers.emplace_back(&service, &server);
                           if (server.host && server.addresses.empty()) unresolved.push_back(not_resolved(service, server, names));
                         }
                       send_probes(servers, reply, std::move(unresolved));
                     });
}

Reply Inquiry::probe(const json& parameters) {
  std::vector<std::pair<const ServiceConfig*, const ServerConfig*>> servers;
  const ServiceState& service = one_service(controller_.registry(), parameters);
  servers.reserve(service.config->servers.size());
  for (const ServerConfig& server : service.config->servers) servers.emplace_back(&*service.config, &server);
  auto reply = std::make_shared<PendingReply>();
  send_probes(servers, reply);
  return reply;
}

/// Of services, or of the servers of the one that is named or the only one. For completions: it is asked at each press of a key.
Reply Inquiry::names(const json& parameters) const {
  constexpr std::size_t names_per_piece = 4'096; // they take no longer than a few services of a status
  const auto& services = controller_.registry().services();
  const auto is_there = [](const auto& service) { return !service->removed; };
  json head = {{"services", json::array()}, {"servers", json::array()}};
  const bool named = optional_of<std::string>(parameters, "service").has_value();
  if (named || std::ranges::count_if(services, is_there) == 1)
    for (const ServerState& server : configured_servers(one_service(controller_.registry(), named ? parameters : json::object())))
      head["servers"].push_back({{"role", server.role}, {"address", address_text(server)}});
  if (named) return head;
  const std::string prefix = optional_of<std::string>(parameters, "prefix").value_or("");
  std::vector<std::string> found;
  for (const auto& service : services)
    if (is_there(service) && service->config->name.starts_with(prefix)) found.push_back(service->config->name);
  auto next = [found = std::move(found), index = std::size_t{0}]() mutable -> std::optional<std::string> {
    return index < found.size() ? std::optional{'"' + found[index++] + '"'} : std::nullopt; // no name has anything to escape
  };
  return {std::move(head), "services", std::move(next), names_per_piece};
}

Reply Inquiry::connections(const json& parameters) {
  const auto list = optional_of<std::int64_t>(parameters, "list").value_or(0);
  if (list < 0 || list > listed_at_most) bad_parameter("list", fmt::format("{} connections at most can be listed", listed_at_most));
  const ServiceState& service = one_service(controller_.registry(), parameters);
  auto reply = std::make_shared<PendingReply>();
  const auto found = [this, reply, name = service.config->name](const FlowLister::Found& flows) {
    const ServiceState* const now = controller_.registry().find(name);
    if (reply->is_over()) return;
    if (!flows.list)
      reply->fail("Failed", fmt::format("conntrack could not be read: {}", flows.failure));
    else if (now == nullptr)
      reply->fail("Failed", fmt::format("{} is not configured any more", name));
    else
      reply->finish({{"connections", make_connections(*now, controller_.registry().services(), *flows.list, flows.took, Clock::now())}});
  };
  if (!flows_.list(mappings_of(service), static_cast<std::size_t>(list), found))
    throw ControlError{"Failed", "hanatd counts connections for others already: try again in some seconds"};
  return reply;
}

} // namespace hanat
