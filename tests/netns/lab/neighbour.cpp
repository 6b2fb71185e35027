// nft -i at the end of a pipe.
#include "tests/netns/lab/neighbour.hpp"

#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/netns/lab/process.hpp"

namespace hanat::test {

using namespace std::chrono_literals;

Neighbour::Neighbour(std::chrono::microseconds pause) : nft_(popen("nft -i >/dev/null 2>&1", "we"), pclose) {
  if (!nft_) throw std::runtime_error("popen nft");
  say("add table inet neighbour");
  say("add set inet neighbour s { type ipv4_addr; }");
  thread_ = std::thread{[this, pause] {
    for (unsigned count = 0; !stop_; ++count) {
      say(fmt::format("add element inet neighbour s {{ 10.{}.{}.{} }}", count >> 16 & 255, count >> 8 & 255, count & 255));
      std::this_thread::sleep_for(pause);
    }
    say("quit");
  }};
  for (int tries = 0; commits() == 0; ++tries) {
    if (tries < 500) {
      std::this_thread::sleep_for(10ms);
      continue;
    }
    stop();
    throw std::runtime_error("nft -i commits nothing");
  }
}

void Neighbour::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  nft_.reset();
}

std::size_t Neighbour::commits() {
  const Output listed = collect({"nft", "-j", "list", "set", "inet", "neighbour", "s"}, 10s);
  if (listed.exit != 0) return 0;
  const nlohmann::json answer = nlohmann::json::parse(listed.out);
  const nlohmann::json& set = answer.at("nftables").back().at("set");
  return set.contains("elem") ? set.at("elem").size() : 0;
}

void Neighbour::say(const std::string& line) {
  fputs((line + "\n").c_str(), nft_.get());
  fflush(nft_.get());
}

} // namespace hanat::test
