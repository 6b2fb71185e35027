// The kernel and the worker as scripts, for tests of the classes of daemon/failover: what they are asked is recorded, what they answer is
// set by the test. Not here: services and their changes (fixture.hpp).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/failover/kernel.hpp"

namespace hanat::test {

/// A table that is loaded. `calls` is what was asked of it, in order.
class FakeTable final : public Table {
public:
  std::optional<nat::Loaded> loaded = nat::Loaded{.state = {}, .in_order = true};
  bool notrack = false, others = false, missed = false;
  nat::ProbePorts rules_for;
  std::optional<nat::Devices> devices; // of the flowtable
  bool knows_flowtables = true;
  std::vector<std::string> calls;
  /// What the next calls of a name throw, in order; nullopt: nothing.
  std::map<std::string, std::deque<std::optional<std::errc>>> faults;
  /// Steps that the kernel refuses, each time.
  std::function<bool(const nat::Step&)> refuses;
  /// The next change is made, and its answer is lost.
  bool loses_answer = false;

  /// The calls since the last time.
  std::vector<std::string> take_calls() { return std::exchange(calls, {}); }

  std::optional<nat::Loaded> read() override {
    note("read", "read");
    return loaded;
  }
  void adopt(const nat::TableState& state) override {
    note("adopt", "adopt");
    EXPECT_EQ(loaded->state, state);
  }
  void load(const nat::TableState& state) override {
    note("load", "load");
    loaded = nat::Loaded{.state = state, .settling = loaded && loaded->settling, .in_order = true};
    notrack = false;
    devices.reset();
  }
  void change(std::span<const nat::Step> steps, std::optional<bool> settling) override {
    note("change", fmt::format("change {}{}", steps.size(), !settling ? "" : *settling ? ", settling" : ", settled"));
    for (const nat::Step& step : steps)
      if (refuses && refuses(step)) throw std::runtime_error("refused by the test");
    for (const nat::Step& step : steps) make(step);
    if (settling) loaded->settling = *settling;
    if (std::exchange(loses_answer, false)) throw std::system_error(std::make_error_code(std::errc::timed_out));
  }
  void set_endpoints(nat::SetKind kind, const nat::EndpointMap& wanted) override {
    note("endpoints", fmt::format("{} {}", nat::name_of({.kind = kind}), wanted.size()));
    loaded->endpoints[kind] = wanted;
  }
  void heartbeat() override { note("heartbeat", "heartbeat"); }
  void set_notrack(bool on) override {
    note("notrack", on ? "notrack on" : "notrack off");
    notrack = on;
  }
  bool is_notrack_set() const override { return notrack; }
  void set_flowtable(const std::optional<nat::Devices>& wanted) override {
    note("flowtable", wanted ? fmt::format("flowtable {}", fmt::join(*wanted, " ")) : "no flowtable");
    if (!knows_flowtables) throw nat::NoFlowtables("no such file or directory");
    devices = wanted;
  }
  bool has_flowtable() const override { return devices.has_value(); }
  void set_probe_ports(const nat::ProbePorts& ports) override {
    if (ports == std::exchange(rules_for, ports)) return;
    note("ports", fmt::format("ports from {}", ports.first));
    if (loaded) loaded->in_order = false;
  }
  bool changed_by_others() override { return std::exchange(others, false); }
  bool missed_a_commit() override {
    note("missed", "missed?");
    return missed;
  }
  bool is_owned() const override { return false; }
  void remove() override { loaded.reset(); }

private:
  void note(const std::string& name, std::string call) {
    calls.push_back(std::move(call));
    auto& script = faults[name];
    if (script.empty()) return;
    const auto fault = script.front();
    script.pop_front();
    if (fault) throw std::system_error(std::make_error_code(*fault), name);
  }
  void make(const nat::Step& step) {
    if (!loaded) throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory));
    const auto replace = [](auto& into, const auto& from, const auto& to) {
      for (const auto& [key, element] : from) into.erase(key);
      for (const auto& [key, element] : to) into[key] = element;
    };
    nat::for_each_set(replace, loaded->state, step.from, step.to);
  }
};

/// Counts heartbeats, and loses them where the test says so.
class FakeHeartbeatSender final : public HeartbeatSender {
public:
  unsigned sent = 0;
  bool lost = false;

  void send() override {
    ++sent;
    if (lost) throw std::runtime_error("lost by the test");
  }
};

/// Makes a transaction at once, or holds it back until join().
class FakeCommitThread final : public CommitThread {
public:
  bool slow = false; // the kernel does not answer before the loop goes on

  bool busy() const override { return job_ != nullptr; }
  bool run(std::function<void()> job, Clock::duration wait) override {
    EXPECT_FALSE(busy());
    EXPECT_GT(wait, Clock::duration::zero());
    if (!slow) {
      job();
      return true;
    }
    job_ = std::move(job);
    return false;
  }
  void join() override {
    if (!busy()) throw std::logic_error("nothing to wait for");
    std::exchange(job_, nullptr)();
  }

private:
  std::function<void()> job_;
};

/// Takes jobs and does none; finish() ends the one under way.
class FakeFlowWorker final : public FlowWorker {
public:
  std::vector<CutJob> jobs;
  bool cancelled = false; // the job under way

  bool busy() const override { return busy_; }
  void start(CutJob job) override {
    EXPECT_FALSE(busy_);
    jobs.push_back(std::move(job));
    busy_ = true;
    cancelled = false;
  }
  void cancel() override { cancelled = busy_; }

  /// The result as the loop gets it.
  CutResult finish(CutResult result) {
    EXPECT_TRUE(busy_);
    busy_ = false;
    result.cancelled = std::exchange(cancelled, false);
    return result;
  }

private:
  bool busy_ = false;
};

class FakeScheduler final : public ProbeScheduler {
public:
  struct Scheduled {
    probes::Probe probe;
    probes::Rate rate;
    Clock::duration first_within;
  };
  std::map<probes::ProbeId, Scheduled> scheduled;
  std::vector<probes::ProbeId> triggered;

  probes::ProbeId add(const probes::Probe& probe, probes::Rate rate, Clock::duration first_within) override {
    const probes::ProbeId id{++last_};
    scheduled.emplace(id, Scheduled{probe, rate, first_within});
    return id;
  }
  const probes::Probe& probe(probes::ProbeId id) const override { return scheduled.at(id).probe; }
  void remove(probes::ProbeId id) override { EXPECT_EQ(scheduled.erase(id), 1U); }
  void set_rate(probes::ProbeId id, probes::Rate rate) override { scheduled.at(id).rate = rate; }
  void trigger(probes::ProbeId id) override {
    EXPECT_TRUE(scheduled.contains(id));
    triggered.push_back(id);
  }

private:
  std::uint64_t last_ = 0;
};

class FakePaths final : public PathMonitor {
public:
  std::multiset<probes::Path> watched;
  std::map<Address, probes::ProbeResult> broken; // by server
  bool cut_off = false;

  void add(const probes::Path& path) override { watched.insert(path); }
  void remove(const probes::Path& path) override {
    const auto found = watched.find(path);
    ASSERT_NE(found, watched.end());
    watched.erase(found);
  }
  std::optional<probes::ProbeResult> unreachable(const probes::Path& path) override {
    const auto found = broken.find(path.server);
    return found == broken.end() ? std::nullopt : std::optional{found->second};
  }
  bool is_cut_off() override { return cut_off; }
};

/// An address that comes and goes as the test says.
class FakeAddresses final : public AddressWatch {
public:
  std::optional<Address> watched;
  bool here = false;

  void watch(const std::optional<Address>& address) override { watched = address; }
  bool is_here() override { return watched && here; }
};

} // namespace hanat::test
