// The real thing: the Lab with its servers' programs and hanatd, and what each step does to them. It tells the model.
// Not here: comparing (checker).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/model/clients.hpp"
#include "tests/netns/model/rules.hpp"
#include "tests/netns/model/step.hpp"

namespace hanat::test::model {

/// Answers each line with its name, or with "wrong", or not at all, or is dead. Each datagram with its name, unless it is dead.
class Program : public StreamServer {
public:
  Program(Lab& lab, const Place& place);
  void become(App mode);

private:
  Program(Lab& lab, const Place& place, std::shared_ptr<std::atomic<bool>> wrong);
  std::shared_ptr<std::atomic<bool>> wrong_;
  UdpServer datagrams_;
};

/// What a step did beside what the model was told.
struct Done {
  std::string text;       // for people
  bool restarted = false; // counters begin anew
  bool reloaded = false, table_touched = false;
  std::function<void(Model&)> expires = {}; // what ends by itself, in a moment
  std::string asked_flows = {};             // "": the operator asked for nothing
};

/// A packet without a flow is reset for a minute after its service has moved, or got other listeners; a restart begins that minute anew.
class Moves {
public:
  /// `moved`: since the last call.
  void note(const Spec& spec, const std::set<std::string>& moved, bool restarted);
  /// By service.
  std::map<std::string, bool> are_recent(const Spec& spec) const;

private:
  std::map<std::string, TestClock::time_point> at_;
  Spec last_; // of the last note()
};

class Stage {
public:
  explicit Stage(bool shared_table);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  /// Throws std::runtime_error when hanatd's answer is not the one that the rules give.
  Done carry_out(const Step& step);

  nlohmann::json call(const std::string& method, const nlohmann::json& parameters = nlohmann::json::object()) const;

  Lab lab{LabOptions{.backup2 = true}};
  Model model;
  Clients clients{lab};
  bool shared_table;
  bool racing = false; // hanatd may not know yet what the last steps did
  Moves moves;

private:
  Done on_app(const Step& step);
  Done on_machine(const Step& step);
  Done on_flap(const Step& step);
  Done on_blackout(const Step& step);
  Done on_force(const Step& step);
  Done on_unforce(const Step& step);
  Done on_disable(const Step& step);
  Done on_enable(const Step& step);
  Done on_edit(const Step& step);
  Done on_start(const Step& step);
  Done on_foreign(const Step& step);
  Done on_forget();
  Done on_full();
  Done on_connect(const Step& step);
  Done on_close(const Step& step);
  Done on_reconnect(const Step& step);
  void world_changed(unsigned machine);
  /// Makes a call that must be refused, or must not; then tells the model. True: it was accepted.
  bool ask_operator(const std::string& method, const nlohmann::json& parameters, const std::function<std::string(bool)>& tell);

  std::map<Place, std::unique_ptr<Program>> programs_;

public:
  std::unique_ptr<Hanatd> hanatd; // last: it ends first
};

} // namespace hanat::test::model
