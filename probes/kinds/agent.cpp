// Kind agent: one line of words in which a program beside the server says how it is, as HAProxy's agent-check defines them. The line ends
// with CR, LF or the connection. Not here: weights, which mean nothing where one server has all the traffic (0 % is "drain").
#include <charconv>

#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t longest_agent_line = 1024;
constexpr std::string_view separators = " ,\t";

/// What the words of a line say together.
struct AgentLine {
  bool known = false; // at least one word of the protocol was there
  bool down = false, drains = false;
};

/// "75%"; nullopt: no percentage.
std::optional<unsigned> percentage(std::string_view word) {
  unsigned value = 0;
  const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (failed != std::errc{} || std::string_view{end, word.data() + word.size()} != "%") return std::nullopt;
  return value;
}

void take_word(std::string_view word, AgentLine& line) {
  const auto weight = percentage(word);
  const bool down = word == "down" || word == "fail" || word == "failed" || word == "stopped";
  const bool drains = word == "drain" || word == "maint" || weight == 0U;
  line.down |= down;
  line.drains |= drains;
  line.known |= down || drains || weight || word == "up" || word == "ready" || word.starts_with("maxconn:");
}

/// What follows a # is for people.
AgentLine parse_words(std::string_view text) {
  AgentLine line;
  text = text.substr(0, text.find('#'));
  while (!text.empty()) {
    const auto end = text.find_first_of(separators);
    take_word(text.substr(0, end), line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return line;
}

Verdict judge_line(std::string_view text) {
  const AgentLine line = parse_words(text);
  if (!line.known) return {Reason::garbled, std::string{text}};
  if (line.down) return {Reason::wrong_answer, std::string{text}};
  if (line.drains) return {Reason::full, std::string{text}};
  return {.reason = Reason::answered};
}

class Agent final : public ProtocolClient {
public:
  explicit Agent(const AgentSpec& spec) : ProtocolClient{longest_agent_line}, send_(spec.send) {}
  Step begin() override { return {.send = send_, .verdict = std::nullopt}; }
  Verdict closed() const override { return line_.empty() ? ProtocolClient::closed() : judge_line(line_); }
  bool closes_with_fin() const override { return true; }

private:
  Step read(std::string_view& unread) override {
    const auto end = unread.find_first_of("\r\n");
    line_ = unread.substr(0, end);
    if (end == std::string_view::npos) return {};
    return {.send = {}, .verdict = judge_line(line_)};
  }

  std::string send_, line_;
};

} // namespace

std::unique_ptr<ProtocolClient> agent(const AgentSpec& spec) { return std::make_unique<Agent>(spec); }

} // namespace hanat::probes
