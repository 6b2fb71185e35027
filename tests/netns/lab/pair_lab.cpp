// Bridges in a namespace of their own; the examples' texts with other words; the daemons on two machines.
#include "tests/netns/lab/pair_lab.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
constexpr std::uint16_t lines_port = 443, push_port = 444;

/// Of the examples -> of the Lab. The same for both gateways.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> lab_words{{{"10.0.0.1", "198.18.8.1"},
                                                                                  {"10.0.0.2", "198.18.8.2"},
                                                                                  {"10.0.0.3", "198.18.8.3"},
                                                                                  {"10.0.1.0", "198.18.20.0"},
                                                                                  {"10.0.1.1", "198.18.20.1"},
                                                                                  {"10.0.1.2", "198.18.20.2"},
                                                                                  {"fd00::1", "fd00:10::1"},
                                                                                  {"fd00::2", "fd00:10::2"},
                                                                                  {"fd00::3", "fd00:10::3"}}};

bool in_address(char letter) { return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '.'; }

/// Whole words only: neither "10.0.0.1" in "10.0.0.11" nor "fd00::1" in "fd00::11". A port may follow.
std::string with_words(const std::string& text, const std::vector<std::pair<std::string, std::string>>& changes) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const bool begins = at == 0 || (!in_address(text[at - 1]) && text[at - 1] != ':');
    const auto found = !begins ? changes.end() : std::ranges::find_if(changes, [&](const auto& change) {
      const std::size_t end = at + change.first.size();
      return text.compare(at, change.first.size(), change.first) == 0 && (end >= text.size() || !in_address(text[end]));
    });
    if (found == changes.end())
      result += text[at++];
    else {
      result += found->second;
      at += found->first.size();
    }
  }
  return result;
}

void batch(const Namespace& place, const std::string& text) {
  Output output;
  place.enter([&] { output = collect({"ip", "-batch", "-"}, 20s, text); });
  if (output.exit != 0) throw std::runtime_error(fmt::format("ip -batch: {}\n{}", output.err, text));
}

char letter_of(Host gateway) { return gateway == Host::gateway ? 'a' : 'b'; }

void wait_until(const std::string& what, milliseconds deadline, const std::function<bool()>& so, const std::function<std::string()>& more) {
  for (const auto end = TestClock::now() + deadline; !so(); std::this_thread::sleep_for(2ms))
    if (TestClock::now() > end) throw std::runtime_error(fmt::format("not so within {} ms: {}\n{}", deadline.count(), what, more()));
}

} // namespace

struct PairLab::Side {
  Side(Lab& lab, Host host) : machine(lab, host) {}
  Machine machine;
  std::optional<Hanatd> hanatd;
};

PairLab::PairLab(PairOptions options) : Lab({.pair = true}), options_(std::move(options)) {
  wire();
  for (const Host host : {Host::gateway, Host::gateway_b}) {
    gateways_.emplace(host, std::make_unique<Side>(*this, host));
    set_sysctls(host);
  }
  make_certificates();
}

PairLab::~PairLab() = default;

void PairLab::wire() {
  std::string text = "link set lo up\n";
  for (const char* bridge : {"clients", "servers", "cable"})
    text += fmt::format("link add {0} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set {0} up\n", bridge);
  const auto lay = [&](const std::string& port, const char* bridge, Host host, const char* interface) {
    text += fmt::format("link add {0} type veth peer name {1} netns {2}\nlink set {0} master {3} up\n", port, interface, place(host).path(),
                        bridge);
  };
  lay("client", "clients", Host::client, "eth0");
  lay("primary", "servers", Host::primary, "eth0");
  lay("backup", "servers", Host::backup, "eth0");
  for (const Host host : {Host::gateway, Host::gateway_b}) {
    const char letter = letter_of(host);
    lay(fmt::format("{}-eth0", letter), "clients", host, "eth0");
    lay(fmt::format("{}-eth1", letter), "servers", host, "eth1");
    lay(fmt::format("{}-eth2", letter), "cable", host, "eth2");
  }
  batch(wires_, text);
  for (const Host host : {Host::gateway, Host::gateway_b}) {
    const int last = host == Host::gateway ? 2 : 3;
    batch(place(host), fmt::format("link set lo up\nlink set eth0 up\nlink set eth1 up\nlink set eth2 up\n"
                                   "address add 203.0.113.{0}/24 dev eth0\naddress add 2001:db8::{0}/64 dev eth0 nodad\n"
                                   "address add fe80::{0}/64 dev eth0 nodad\naddress add fe80::{0}/64 dev eth1 nodad\n"
                                   "address add 198.18.8.{0}/21 dev eth1\naddress add fd00:10::{0}/28 dev eth1 nodad\n"
                                   "address add 198.18.20.{1}/30 dev eth2\n"
                                   "route add 198.18.1.0/24 dev eth0\nroute add fd00:1::/64 dev eth0\n",
                                   last, last - 1));
  }
  batch(place(Host::client), fmt::format("link set lo up\naddress add {}/24 dev eth0\naddress add {}/64 dev eth0 nodad\n"
                                         "address add fe80::12/64 dev eth0 nodad\nlink set eth0 up\n"
                                         "route add 203.0.113.0/24 dev eth0\nroute add 2001:db8::/64 dev eth0\n",
                                         address(Host::client).text(), address(Host::client, Family::ipv6).text()));
  for (const Host host : {Host::primary, Host::backup})
    batch(place(host), fmt::format("link set lo up\naddress add {}/21 dev eth0\naddress add {}/28 dev eth0 nodad\n"
                                   "address add fe80::{}/64 dev eth0 nodad\nlink set eth0 up\n"
                                   "route add default via 198.18.8.1\nroute add ::/0 via fd00:10::1\n",
                                   address(host).text(), address(host, Family::ipv6).text(), host == Host::primary ? 21 : 22));
}

void PairLab::make_certificates() {
  const std::filesystem::path folder = machine(Host::gateway).file("/certificates");
  const Output output =
      collect({HANAT_SOURCE "/packaging/examples/pair/hanat-pair-certificates", folder.string(), "198.18.20.1", "198.18.20.2"}, 20s);
  if (output.exit != 0) throw std::runtime_error("hanat-pair-certificates: " + output.err);
  for (const auto& [host, address] : {std::pair{Host::gateway, "198.18.20.1"}, std::pair{Host::gateway_b, "198.18.20.2"}})
    std::filesystem::copy(folder / address, machine(host).file("/etc/hanat/pair"));
}

void PairLab::set_sysctls(Host gateway) {
  std::istringstream lines(example("sysctl.conf", gateway));
  for (std::string line; std::getline(lines, line);)
    if (const auto equals = line.find(" = "); equals != std::string::npos && !line.starts_with('#'))
      sysctl(gateway, line.substr(0, equals), line.substr(equals + 3));
}

std::string PairLab::example(const std::string& name, Host gateway) const {
  std::ifstream file(std::string{HANAT_SOURCE "/packaging/examples/pair/"} + name);
  std::ostringstream text;
  if (!(text << file.rdbuf())) throw std::runtime_error("no example " + name);
  std::vector<std::pair<std::string, std::string>> changes(lab_words.begin(), lab_words.end());
  changes.emplace_back("/etc/hanat/pair", gateways_.at(gateway)->machine.file("/etc/hanat/pair").string());
  if (gateway == Host::gateway_b && name != "keepalived.conf") { // which is the same on both
    const auto find = [&](std::string_view word) { return std::ranges::find(changes, word, &std::pair<std::string, std::string>::first); };
    std::swap(find("10.0.1.1")->second, find("10.0.1.2")->second);
  }
  return with_words(text.str(), changes);
}

std::string PairLab::hanat_toml(Host gateway) const {
  const bool v4 = options_.family == Family::ipv4;
  const std::string vip = v4 ? "203.0.113.10" : "[2001:db8::10]";
  std::string text = options_.paired ? example("hanat.toml", gateway) : "";
  if (options_.mode == PairMode::ftfw)
    if (const auto found = text.find("settle = \"0s\""); found != std::string::npos) text.replace(found, 13, "settle = \"2s\"");
  const auto server = [&](Host host) { return address(host, options_.family).text(); };
  return text +
         fmt::format("\n[service.web]\nlisten = [\"{0}:{1}/tcp\", \"{0}:{2}/tcp\", \"{0}:{1}/udp\"]\n"
                     "primary = \"{3}\"\nbackup = \"{4}\"\nsnat = \"{5}\"\n"
                     "probe = {{ type = \"tcp\", port = {1}, interval = \"100ms\", fast_interval = \"20ms\", timeout = \"500ms\" }}\n"
                     "down = {{ fails = 3, within = \"3s\" }}\nup = {{ passes = 2, stable_for = \"100ms\" }}\n"
                     "on_forced = \"reset\"\n{6}\n",
                     vip, lines_port, push_port, server(Host::primary), server(Host::backup),
                     options_.snat != "fixed" ? options_.snat
                     : v4                     ? "198.18.8.1"
                                              : "fd00:10::1",
                     options_.more);
}

PairLab::Side& PairLab::at(Host gateway) { return *gateways_.at(gateway); }
Hanatd& PairLab::hanatd(Host gateway) { return at(gateway).hanatd.value(); }
Machine& PairLab::machine(Host gateway) { return at(gateway).machine; }

void PairLab::start() {
  start(Host::gateway);
  wait_active(Host::gateway);
  start(Host::gateway_b);
  wait_notified(Host::gateway, "master");
  wait_notified(Host::gateway_b, "backup");
}

void PairLab::start(Host host) {
  Side& gateway = at(host);
  for (const char* interface : {"eth0", "eth1", "eth2"}) plug(host, interface, true);
  gateway.machine.power_on();
  std::filesystem::create_directory(gateway.machine.file("/run/hanat")); // the unit's RuntimeDirectory
  gateway.machine.write("/etc/keepalived/keepalived.conf", example("keepalived.conf", host));
  gateway.machine.write("/etc/keepalived/hanat-pair-notify", example("hanat-pair-notify", host), true);
  gateway.machine.write("/etc/conntrackd/conntrackd.conf",
                        example(options_.mode == PairMode::inject ? "conntrackd-inject.conf" : "conntrackd-ftfw.conf", host));
  std::error_code exists;
  std::filesystem::create_directory(gateway.machine.file("/bin"));
  std::filesystem::create_symlink(hanatctl_program(), gateway.machine.file("/bin/hanatctl"), exists);
  if (!gateway.hanatd)
    gateway.hanatd.emplace(*this, hanat_toml(host), HanatdOptions{.start = false, .host = host, .before = gateway.machine.with_files()});
  gateway.hanatd->start();
  start_conntrackd(host);
  start_keepalived(host);
}

void PairLab::start_conntrackd(Host host) {
  Machine& machine = at(host).machine;
  machine.run("rm -f /run/conntrackd.lock"); // as the unit's drop-in does: a conntrackd that was killed leaves it behind
  machine.start("conntrackd", {"conntrackd", "-C", "/etc/conntrackd/conntrackd.conf"});
  wait_until(
      "conntrackd answers", 10s, [&] { return machine.run("conntrackd -s").exit == 0; }, [&] { return logs(); });
}

void PairLab::start_keepalived(Host host) {
  Machine& machine = at(host).machine;
  machine.start("keepalived",
                {"env", "PATH=" + machine.file("/bin").string() + ":/usr/sbin:/usr/bin:/sbin:/bin",
                 "HANAT_SOCKET=" + at(host).hanatd->socket(), "keepalived", "--dont-fork", "--log-console", "--log-detail", "--no-syslog"});
}

void PairLab::stop_keepalived(Host host) {
  const Output output = at(host).machine.run("pid=$(cat /run/keepalived.pid) && kill -TERM $pid && while kill -0 $pid 2>/dev/null; do "
                                             "sleep 0.01; done");
  if (output.exit != 0) throw std::runtime_error("keepalived cannot be stopped: " + output.err + logs());
}

void PairLab::kill_conntrackd(Host host) { at(host).machine.kill("conntrackd"); }
void PairLab::freeze_conntrackd(Host host, bool on) { at(host).machine.signal("conntrackd", on ? SIGSTOP : SIGCONT); }

TestClock::time_point PairLab::kill(Host host) {
  const char letter = letter_of(host);
  const std::string cut = fmt::format("link set {0}-eth0 down\nlink set {0}-eth1 down\nlink set {0}-eth2 down\n", letter);
  const auto moment = TestClock::now();
  batch(wires_, cut);
  at(host).machine.power_off();
  if (at(host).hanatd) at(host).hanatd->kill9();
  return moment;
}

void PairLab::plug(Host host, const std::string& interface, bool in) {
  batch(wires_, fmt::format("link set {}-{} {}\n", letter_of(host), interface, in ? "up" : "down"));
}

bool PairLab::has_address(Host host) {
  const Fd fd = socket(host, options_.family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM);
  const SocketAddress address = to_sockaddr({.address = vip(0, options_.family).address, .port = 0});
  return bind(fd.get(), address.get(), address.length) == 0;
}

void PairLab::wait_active(Host host, milliseconds deadline) {
  wait_until(
      fmt::format("{} is active", to_text(host)), deadline, [&] { return has_address(host); }, [&] { return logs(); });
}

void PairLab::wait_notified(Host host, const std::string& role, milliseconds deadline) {
  const Machine& machine = at(host).machine;
  wait_until(
      fmt::format("{} is notified: {}", to_text(host), role), deadline,
      [&] { return machine.read("/run/hanat-pair/role") == role + "\n" && machine.run("flock /run/hanat-pair/lock true").exit == 0; },
      [&] { return logs(); });
}

std::size_t PairLab::copies(Host standby) {
  const Machine& machine = at(standby).machine;
  const std::string count = options_.mode == PairMode::inject
                                ? machine.run("cat /proc/sys/net/netfilter/nf_conntrack_count").out
                                : machine.run("conntrackd -s cache | sed -n 's/^cache:external.*active objects:[^0-9]*//p'").out;
  return count.empty() ? 0 : std::stoul(count);
}

void PairLab::wait_copied(Host standby, std::size_t number, milliseconds deadline) {
  wait_until(
      fmt::format("{} has {} copies, it has {}", to_text(standby), number, copies(standby)), deadline,
      [&] { return copies(standby) >= number; }, [&] { return logs(); });
}

std::string PairLab::logs() {
  std::string text;
  for (auto& [host, gateway] : gateways_)
    text += fmt::format("---- {}\n{}{}\n{}", to_text(host), gateway->machine.log(), gateway->machine.read("/var/log/conntrackd.log"),
                        gateway->hanatd ? gateway->hanatd->log() : "");
  return text;
}

bool PairLab::linked() const { return options_.paired && example("hanat.toml", Host::gateway).find("\npeer = ") != std::string::npos; }

FlowTargets PairLab::targets() const {
  return {.lines = vip(lines_port, options_.family), .push = vip(push_port, options_.family), .udp = vip(lines_port, options_.family)};
}

PairServers::PairServers(PairLab& lab)
    : primary(lab, Host::primary, lines_port, "primary"), backup(lab, Host::backup, lines_port, "backup"),
      primary_push(lab, Host::primary, push_port), backup_push(lab, Host::backup, push_port),
      primary_udp(lab, Host::primary, lines_port, "primary"), backup_udp(lab, Host::backup, lines_port, "backup") {}

// ---- what a standby does

namespace {
constexpr const char* deleted_file = "/deleted";
}

Meddling::Meddling(PairLab& lab, Host gateway) : lab_(lab), gateway_(gateway) {
  lab.must(gateway, "nft -f - <<END\ntable inet count {\nchain out {\ntype filter hook output priority -400\n"
                    "ip saddr 203.0.113.10 counter\n}\n}\nEND");
  const std::string path = lab.machine(gateway).file(deleted_file).string();
  const Fd file{checked(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), path)};
  listener_.emplace(
      lab.spawn(gateway, {"conntrack", "-E", "-b", "8388608", "-e", "DESTROY", "-p", "tcp", "-d", "203.0.113.10"}, file.get()));
}

std::size_t Meddling::forged() {
  return std::stoul(lab_.must(gateway_, "nft list table inet count | sed -n 's/.*counter packets \\([0-9]*\\) .*/\\1/p'"));
}

std::size_t Meddling::deleted() {
  const std::string events = lab_.machine(gateway_).read(deleted_file);
  return static_cast<std::size_t>(std::ranges::count(events, '\n'));
}

void misjudge(PairLab& lab, Host gateway, milliseconds time) {
  const auto believes = [&](const char* health) {
    lab.hanatd(gateway).wait_for([&](const Status& now) { return server(service(now, "web"), "primary").health == health; });
  };
  lab.must(gateway, "nft -f - <<END\ntable inet cut {\nchain out {\ntype filter hook output priority -300\n"
                    "ip daddr 198.18.11.2 drop\n}\n}\nEND");
  believes("down");
  std::this_thread::sleep_for(time);
  lab.must(gateway, "nft delete table inet cut");
  believes("up");
}

} // namespace hanat::test
