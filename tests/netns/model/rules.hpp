// hanat's rules once more, in plain code written from the manual pages: which server must have the traffic, given what works, what the
// operator wants and where the traffic was. Nothing here is the product's.
// Not here: times (the model looks at services that have come to rest), connections (clients), what the table holds for it (checker).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/netns/model/spec.hpp"

namespace hanat::test::model {

enum class App : std::uint8_t { works, dead, hangs, wrong };
std::string_view to_text(App app);

/// What the servers and the ways to them do.
struct World {
  std::map<Place, App> apps; // absent: works
  std::array<bool, machines> silent{}, unplugged{};

  App app(const Place& place) const;
  bool reachable(const Place& place) const { return !silent.at(place.machine) && !unplugged.at(place.machine); }
  bool passes(const ServiceSpec& service, const Place& place) const;
  std::size_t broken() const;
};

struct Pin {
  Place place;
  bool until_down = false;
};

/// A service at rest.
struct Service {
  std::optional<Place> target = {}; // nullopt: none
  std::optional<Place> former = {}; // the target of before a reload that took it away, until another server has the traffic
  bool decided = false;             // no: new, and nobody has been its target
  std::optional<Pin> pin = {};      // an override
  std::set<Place> disabled = {};
  std::set<Place> planned = {}; // a return to one of them is planned work
  bool return_now = false;      // an override has ended
  bool loose = false;           // several things happened: how it got where it is is not told
};

struct Move {
  std::string service;
  std::optional<Place> from, to;
  std::string why;
  bool planned = false;
  bool perhaps_planned = false; // to a server that was enabled or moved, and perhaps was down since
  bool operator==(const Move&) const = default;
};

/// Where one service may come to rest.
struct Expected {
  std::set<std::optional<Place>> targets;
  std::vector<Move> moves; // of a service that is not loose: exactly these
  bool loose = false;
};

class Model {
public:
  explicit Model(Spec first);

  const Spec& spec() const { return spec_; }
  Service& service(const std::string& name) { return services_.at(name); }
  const Service& service(const std::string& name) const { return services_.at(name); }

  /// Why hanatd must refuse; empty: it must not.
  std::string force(std::size_t service, std::size_t server, bool until_down, bool even_if_down);
  std::string disable(std::size_t service, std::size_t server, bool even_if_last);
  void enable(std::size_t service, std::size_t server);
  void end_override(std::size_t service);
  /// Its time is over.
  void expire(std::size_t service);
  void reload(const Spec& next);
  /// hanatd was killed in the middle of something, or steps race.
  void loosen_all();

  /// The state of these places changes. A group that has several of its roles there may go through one that comes first.
  void change(const std::function<bool(const Place&)>& changes);

  /// Every service comes to rest, with what the world does now. By name.
  std::map<std::string, Expected> rest();
  /// A loose service is where hanatd has put it.
  void adopt(const std::string& name, const std::optional<Place>& target);
  /// A flapping server may be a better one, and has the traffic when its wait is over.
  bool may_move(const std::string& name, const std::optional<Place>& target) const;
  /// A service of its group has one.
  bool has_former(std::size_t service) const;
  /// In all services of its group.
  bool is_up(std::size_t service, std::size_t server) const;

  World world;

private:
  bool usable(std::size_t service, std::size_t server) const;
  void end_void_pins(const std::vector<std::size_t>& unit);
  void rest_one(std::size_t service, std::map<std::string, Expected>& result);
  Service carried_over(const ServiceSpec& next) const;
  void share_in_groups();
  std::optional<std::size_t> first_usable(std::size_t service) const;
  /// A return to the server is planned work, for a service of the group.
  bool is_planned(std::size_t service, std::size_t server) const;
  std::optional<std::size_t> role(std::size_t service, const Place& place) const;

  Spec spec_;
  std::map<std::string, Service> services_;
};

} // namespace hanat::test::model
