// The verbs that concern hanatd itself and the kernel under it, and when services moved, which decides what a forgotten flow meets.
#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "tests/netns/lab/synth.hpp"
#include "tests/netns/model/stage.hpp"
#include "tests/netns/model/table_view.hpp"

namespace hanat::test::model {
namespace {

constexpr std::chrono::seconds lately{63};

} // namespace

Done Stage::on_start(const Step& step) {
  const bool orderly = step.verb == Verb::restart;
  if (orderly)
    hanatd->restart();
  else {
    hanatd->kill9();
    hanatd->start();
  }
  return {.text = orderly ? "hanatd is restarted" : "hanatd is killed and started", .restarted = true};
}

Done Stage::on_foreign(const Step& step) {
  const TableView view = read_table(lab);
  std::string command;
  const auto pick = [](const auto& from, unsigned number) {
    return std::next(from.begin(), static_cast<std::ptrdiff_t>(number % from.size()));
  };
  switch (step.a % 5) {
  case 0: command = "delete table inet hanat"; break;
  case 1: command = "flush ruleset"; break;
  case 2: command = "flush chain inet hanat " + pick(view.rules, step.b)->first; break;
  case 3: {
    constexpr std::array names{"vips4", "dnat4", "hold4", "servers4", "masquerade4"};
    command = fmt::format("flush {} inet hanat {}", step.b % 5 == 1 || step.b % 5 == 4 ? "map" : "set", names.at(step.b % names.size()));
    break;
  }
  default: {
    const auto& elements = view.set("dnat4");
    if (elements.empty()) return {.text = "nothing: the table has no target"};
    std::string key = pick(elements, step.b)->first;
    std::string with_dots;
    for (const char letter : key) with_dots += letter == ' ' ? std::string{" . "} : std::string{letter};
    command = fmt::format("delete element inet hanat dnat4 {{ {} }}", with_dots);
  }
  }
  const Output output = run_at(lab, Host::gateway, {"nft", command});
  if (shared_table && output.exit != 0) throw std::runtime_error(fmt::format("nft {}: {}", command, output.err));
  return {.text = fmt::format("another program: {}{}", command, output.exit == 0 ? "" : ", which the kernel refuses"),
          .table_touched = true};
}

void Moves::note(const Spec& spec, const std::set<std::string>& moved, bool restarted) {
  const auto now = TestClock::now();
  std::erase_if(at_, [now](const auto& one) { return now - one.second > lately; });
  for (const ServiceSpec& service : spec.services) {
    const ServiceSpec* const before = last_.find(service.name);
    const bool is_other = before == nullptr || before->listen != service.listen || before->servers != service.servers;
    if (is_other || moved.contains(service.name) || (restarted && at_.contains(service.name))) at_[service.name] = now;
  }
  last_ = spec;
}

std::map<std::string, bool> Moves::are_recent(const Spec& spec) const {
  std::map<std::string, bool> result;
  for (const ServiceSpec& service : spec.services) {
    const auto at = at_.find(service.name);
    result[service.name] = at != at_.end() && TestClock::now() - at->second < lately;
  }
  return result;
}

Done Stage::on_forget() {
  clients.on_forgotten(moves.are_recent(model.spec()));
  lab.must(Host::gateway, "conntrack -F 2>&1");
  return {.text = "conntrack -F"};
}

namespace {

std::size_t number_in(const char* path) {
  std::size_t number = 0;
  std::ifstream{path} >> number;
  return number;
}

/// The limit is the whole machine's, the entries are of the gateway's namespace. Until the kernel refuses one more.
void fill_conntrack() {
  constexpr std::size_t portion = 50'000;
  const Mapping elsewhere{.vip = vip("203.0.113.99", 80, Protocol::tcp), .server = endpoint("198.18.99.2", 80)};
  const std::size_t most = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
  std::size_t made = 0;
  try {
    for (std::size_t there = 0; (there = number_in("/proc/sys/net/netfilter/nf_conntrack_count")) < most;) {
      const std::size_t some = std::min(most - there, portion);
      synthesise(flows_of(elsewhere, some, made));
      made += some;
    }
  } catch (const std::system_error& full) {
    if (full.code() != std::errc::not_enough_memory) throw;
  }
}

} // namespace

Done Stage::on_full() {
  lab.in(Host::gateway, [] { fill_conntrack(); });
  std::this_thread::sleep_for(milliseconds{400}); // some probes of every server; none of them may count
  Done done = on_forget();
  done.text = "conntrack is full for a moment; " + done.text;
  return done;
}

} // namespace hanat::test::model
