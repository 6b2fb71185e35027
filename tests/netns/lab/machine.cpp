// unshare(1) makes the namespaces of files and processes, nsenter(1) enters them. The kernel kills what runs in there when its first
// process ends, which unshare kills when it ends itself: so nothing is left behind, whatever ends the test.
#include "tests/netns/lab/machine.hpp"

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace hanat::test {
namespace {

constexpr std::array own_folders{"/run", "/etc/keepalived", "/etc/conntrackd", "/var/log"};

/// Its own pid is that of the outer namespace, because /proc still is the outer one's.
constexpr const char* boot = R"(set -e
for folder in /run /etc/keepalived /etc/conntrackd /var/log; do mount --bind "$0$folder" "$folder"; done
mkdir -p /run/lock
read -r pid rest </proc/self/stat
echo "$pid" >"$0/booting"
mv "$0/booting" "$0/pid"
exec sleep infinity
)";

} // namespace

Machine::Machine(Lab& lab, Host host) : lab_(lab), host_(host) {
  std::string pattern = (std::filesystem::temp_directory_path() / "hanat-machine-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp " + pattern);
  directory_ = pattern;
  for (const char* folder : own_folders) std::filesystem::create_directories(file(folder));
  std::filesystem::create_directories(file("/etc/hanat"));
}

Machine::~Machine() {
  power_off();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Machine::power_on() {
  std::filesystem::remove(file("/pid"));
  std::filesystem::remove_all(file("/run")); // as after a boot
  std::filesystem::create_directory(file("/run"));
  const Fd log = open_log();
  init_.emplace(lab_.spawn(host_, {"unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", boot, directory_.string()},
                           log.get(), log.get()));
  while (!std::filesystem::exists(file("/pid")))
    if (init_->wait(std::chrono::milliseconds{2})) throw std::runtime_error("a machine does not start:\n" + this->log());
  init_pid_ = static_cast<pid_t>(std::stol(read("/pid")));
}

void Machine::power_off() {
  if (!init_) return;
  ::kill(init_pid_, SIGKILL); // and the kernel kills the others, before this one is gone
  init_->wait(std::chrono::seconds{10});
  init_.reset();
  started_.clear();
}

std::vector<std::string> Machine::with_files() const {
  return {"sh", "-c", "exec nsenter --target $(cat $0) --mount -- \"$@\"", file("/pid").string()};
}

std::vector<std::string> Machine::inside() const { return {"nsenter", "--target", std::to_string(init_pid_), "--mount", "--pid", "--"}; }

Fd Machine::open_log() const {
  const std::string path = file("/log").string();
  return Fd{checked(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), path)};
}

void Machine::start(const std::string& name, const std::vector<std::string>& argv) {
  const Fd log = open_log();
  std::vector<std::string> words = inside();
  words.insert(words.end(), argv.begin(), argv.end());
  started_.insert_or_assign(name, lab_.spawn(host_, words, log.get(), log.get()));
}

/// nsenter(1) is its parent.
void Machine::signal(const std::string& name, int number) const {
  const std::string parent = std::to_string(started_.at(name).pid());
  std::ifstream children("/proc/" + parent + "/task/" + parent + "/children");
  pid_t pid = -1;
  if (!(children >> pid)) throw std::runtime_error(name + " does not run");
  ::kill(pid, number);
}

void Machine::kill(const std::string& name) {
  signal(name, SIGKILL);
  started_.at(name).wait(std::chrono::seconds{10});
}

Output Machine::run(const std::string& command, std::chrono::milliseconds deadline) const {
  std::vector<std::string> words = inside();
  words.insert(words.end(), {"sh", "-c", command});
  return lab_.run(host_, words, {}, deadline);
}

void Machine::write(const std::string& path, const std::string& text, bool executable) const {
  std::filesystem::create_directories(file(path).parent_path());
  std::ofstream stream(file(path));
  if (!(stream << text << std::flush)) throw std::runtime_error("cannot write " + file(path).string());
  if (executable) chmod(file(path).c_str(), 0755);
}

std::string Machine::read(const std::string& path) const {
  std::ostringstream text;
  text << std::ifstream(file(path)).rdbuf();
  return text.str();
}

} // namespace hanat::test
