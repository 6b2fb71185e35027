// Namespaces by unshare on a thread; links, addresses and routes by one `ip -batch` a namespace.
#include "tests/netns/lab/lab.hpp"

#include <condition_variable>
#include <exception>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>

namespace hanat::test {

// ---- Namespace

struct Namespace::Impl {
  std::mutex mutex;
  std::condition_variable changed;
  const std::function<void()>* job = nullptr;
  bool done = false, ending = false;
  std::exception_ptr failure;
  Fd fd;
  std::thread keeper;

  void carry_out(const std::function<void()>& body) {
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }
  void keep() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ending || job != nullptr; });
      if (ending) return;
      carry_out(*job);
      job = nullptr;
      done = true;
      changed.notify_all();
    }
  }
};

Namespace::Namespace() : impl_(std::make_unique<Impl>()) {
  impl_->keeper = std::thread([impl = impl_.get()] { impl->keep(); });
  try {
    on_keeper([this] {
      checked(unshare(CLONE_NEWNET), "a network namespace (root is needed)");
      impl_->fd = Fd{checked(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/thread-self/ns/net")};
    });
  } catch (...) {
    {
      const std::scoped_lock lock(impl_->mutex);
      impl_->ending = true;
    }
    impl_->changed.notify_all();
    impl_->keeper.join();
    throw;
  }
}

Namespace::~Namespace() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->changed.notify_all();
  impl_->keeper.join();
}

int Namespace::fd() const { return impl_->fd.get(); }

std::string Namespace::path() const { return fmt::format("/proc/{}/fd/{}", getpid(), fd()); }

void Namespace::enter(const std::function<void()>& body) const {
  std::exception_ptr failure;
  std::thread worker([&] {
    try {
      checked(setns(fd(), CLONE_NEWNET), "setns");
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  worker.join();
  if (failure) std::rethrow_exception(failure);
}

void Namespace::on_keeper(const std::function<void()>& body) {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [this] { return impl_->job == nullptr && !impl_->done; }); // one caller at a time
  impl_->job = &body;
  impl_->changed.notify_all();
  impl_->changed.wait(lock, [this] { return impl_->done; });
  impl_->done = false;
  const std::exception_ptr failure = std::exchange(impl_->failure, nullptr);
  impl_->changed.notify_all();
  if (failure) std::rethrow_exception(failure);
}

// ---- Lab

namespace {

constexpr std::array all_hosts{Host::gateway, Host::client, Host::bystander, Host::primary, Host::backup, Host::backup2, Host::gateway_b};

/// The N of a host's link: part of its addresses.
unsigned link_number(Host host) {
  switch (host) {
  case Host::gateway:
  case Host::gateway_b: break;
  case Host::client: return 1;
  case Host::bystander: return 2;
  case Host::primary: return 11;
  case Host::backup: return 12;
  case Host::backup2: return 13;
  }
  throw std::logic_error("the gateway has a link to each host, not one of its own");
}

bool is_server(Host host) { return host == Host::primary || host == Host::backup || host == Host::backup2; }

Address on_link(Host host, Family family, unsigned last) {
  const std::string text =
      family == Family::ipv4 ? fmt::format("198.18.{}.{}", link_number(host), last) : fmt::format("fd00:{}::{}", link_number(host), last);
  return Address::parse(text).value();
}

std::string default_routes(Host host) {
  return fmt::format("route add default via {}\nroute add ::/0 via {}\n", Lab::gateway_address(host).text(),
                     Lab::gateway_address(host, Family::ipv6).text());
}

/// Without duplicate address detection: usable at once. Without its link-local address a gateway cannot even ask for a neighbour.
std::string addresses(const std::string& link, const Address& v4, const Address& v6, const std::string& link_local) {
  return fmt::format("address add {1}/24 dev {0}\naddress add {2}/64 dev {0} nodad\naddress add {3}/64 dev {0} nodad\nlink set {0} up\n",
                     link, v4.text(), v6.text(), link_local);
}

void expect_success(const Output& output, const std::string& what) {
  if (output.exit != 0) throw std::runtime_error(fmt::format("{}: exit {}\n{}{}", what, output.exit, output.out, output.err));
}

} // namespace

std::string_view to_text(Host host) {
  switch (host) {
  case Host::gateway: return "gateway";
  case Host::client: return "client";
  case Host::bystander: return "bystander";
  case Host::primary: return "primary";
  case Host::backup: return "backup";
  case Host::backup2: return "backup2";
  case Host::gateway_b: return "gateway_b";
  }
  return "?";
}

Address Lab::address(Host host, Family family) { return on_link(host, family, 2); }
Address Lab::gateway_address(Host link, Family family) { return on_link(link, family, 1); }

Endpoint Lab::vip(std::uint16_t port, Family family) {
  return {Address::parse(family == Family::ipv4 ? "203.0.113.10" : "2001:db8::10").value(), port};
}

Lab::Lab(LabOptions options) : options_(std::move(options)) {
  for (const Host host : all_hosts) {
    if ((host == Host::bystander && !options_.bystander) || (host == Host::backup2 && !options_.backup2)) continue;
    if (host == Host::gateway_b && !options_.pair) continue;
    places_[static_cast<std::size_t>(host)] = std::make_unique<Namespace>();
    set_sysctls(host);
  }
  if (!options_.pair) wire();
  if (options_.tcp_loose) sysctl(Host::gateway, "net.netfilter.nf_conntrack_tcp_loose", *options_.tcp_loose ? "1" : "0");
}

Lab::~Lab() = default;

/// Before any link exists, so that every link starts with them.
void Lab::set_sysctls(Host host) {
  place(host).enter([host] {
    const auto set = [](const char* name, const char* value) {
      std::ofstream file(std::string{"/proc/sys/net/"} + name);
      if (!(file << value << std::flush)) throw std::system_error(errno, std::generic_category(), std::string{"set "} + name);
    };
    for (const char* scope : {"all", "default"}) {
      set(fmt::format("ipv6/conf/{}/disable_ipv6", scope).c_str(), "0");
      set(fmt::format("ipv6/conf/{}/accept_dad", scope).c_str(), "0"); // an address is usable at once
      set(fmt::format("ipv6/conf/{}/accept_ra", scope).c_str(), "0");
      set(fmt::format("ipv6/conf/{}/addr_gen_mode", scope).c_str(), "1"); // wire() gives link-local addresses: the kernel's own are late
      set(fmt::format("ipv6/conf/{}/keep_addr_on_down", scope).c_str(), "1"); // link() brings them back as they were
      set(fmt::format("ipv4/conf/{}/rp_filter", scope).c_str(), "0");
    }
    if (host == Host::gateway || host == Host::gateway_b) {
      set("ipv4/ip_forward", "1");
      set("ipv6/conf/all/forwarding", "1");
    } else if (!is_server(host)) { // a load of 1,000 connects a second must not run out of ports in TIME_WAIT
      set("ipv4/ip_local_port_range", "10000 65535");
      set("ipv4/tcp_tw_reuse", "1");
    }
  });
}

void Lab::wire() {
  std::string gateway = "link set lo up\n";
  for (const Host host : all_hosts) {
    if (host == Host::gateway || !places_[static_cast<std::size_t>(host)]) continue;
    const std::string name = fmt::format("to-{}", to_text(host));
    gateway += fmt::format("link add {} type veth peer name eth0 netns {}\n", name, place(host).path());
    gateway += addresses(name, gateway_address(host), gateway_address(host, Family::ipv6), "fe80::1");
  }
  if (options_.vip_local)
    for (const std::string& vip : options_.vips) gateway += fmt::format("address add {} dev lo\n", vip);
  expect_success(run(Host::gateway, {"ip", "-batch", "-"}, gateway), "links of the gateway");

  for (const Host host : all_hosts) {
    if (host == Host::gateway || !places_[static_cast<std::size_t>(host)]) continue;
    std::string batch = "link set lo up\n" + addresses("eth0", address(host), address(host, Family::ipv6), "fe80::2");
    if (!is_server(host) || options_.return_routes) batch += default_routes(host);
    expect_success(run(host, {"ip", "-batch", "-"}, batch), fmt::format("link of {}", to_text(host)));
  }
}

Namespace& Lab::place(Host host) {
  const auto& place = places_[static_cast<std::size_t>(host)];
  if (!place) throw std::logic_error(fmt::format("this Lab has no {}: ask for it in LabOptions", to_text(host)));
  return *place;
}

Fd Lab::socket(Host host, int family, int type) {
  Fd fd;
  place(host).on_keeper(
      [&] { fd = Fd{checked(::socket(family, type | SOCK_CLOEXEC, 0), "socket")}; }); // a thread that enters takes ten times as long
  return fd;
}

Process Lab::spawn(Host host, const std::vector<std::string>& argv, int out, int err) {
  std::optional<Process> process;
  place(host).on_keeper([&] { process.emplace(argv, out, err); });
  return std::move(*process);
}

Output Lab::run(Host host, const std::string& command, std::chrono::milliseconds deadline) {
  return run(host, {"sh", "-c", command}, {}, deadline);
}

Output Lab::run(Host host, const std::vector<std::string>& argv, const std::string& input, std::chrono::milliseconds deadline) {
  return in(host, [&] { return collect(argv, deadline, input); });
}

std::string Lab::must(Host host, const std::string& command) {
  Output output = run(host, command);
  expect_success(output, fmt::format("{}: {}", to_text(host), command));
  return output.out;
}

namespace {
std::string sysctl_path(std::string name) {
  for (char& letter : name)
    if (letter == '.') letter = '/';
  return "/proc/sys/" + name;
}
} // namespace

void Lab::sysctl(Host host, const std::string& name, const std::string& value) {
  const std::string path = sysctl_path(name);
  if (name.starts_with("net.netfilter.") && access(path.c_str(), F_OK) != 0) run(host, "modprobe nf_conntrack"); // a module on Debian
  in(host, [&] {
    std::ofstream file(path);
    if (!(file << value << std::flush)) throw std::system_error(errno, std::generic_category(), fmt::format("set {} = {}", name, value));
  });
}

std::string Lab::sysctl(Host host, const std::string& name) {
  return in(host, [&] {
    std::ifstream file(sysctl_path(name));
    std::string value;
    if (!std::getline(file, value)) throw std::system_error(errno, std::generic_category(), "read " + name);
    return value;
  });
}

void Lab::link(Host host, bool up) {
  std::string batch = up ? "link set eth0 up\n" : "link set eth0 down\n";
  if (up && (!is_server(host) || options_.return_routes)) batch += default_routes(host); // went with the link
  expect_success(run(host, {"ip", "-batch", "-"}, batch), fmt::format("link of {}", to_text(host)));
}

void Lab::silent(Host host, bool on) {
  const std::string text = on ? R"(add table inet lab-silent
add chain inet lab-silent in { type filter hook prerouting priority -400; policy drop; }
add chain inet lab-silent out { type filter hook output priority -400; policy drop; }
)"
                              : "delete table inet lab-silent\n";
  expect_success(run(host, {"nft", "-f", "-"}, text), fmt::format("{} silent", to_text(host)));
}

} // namespace hanat::test
