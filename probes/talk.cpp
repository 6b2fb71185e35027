// Kind tcp with send or expect: says what it was told, and listens for a pattern. Not here: the bare handshake (tcp).
#include "probes/dialogue.hpp"

namespace hanat::probes {
namespace {

class Talk final : public Dialogue {
public:
  explicit Talk(const TalkSpec& spec) : spec_(spec) {}
  Turn begin() override { return {.say = spec_.send, .verdict = std::nullopt}; }

private:
  // All that was heard stays unread, because the pattern may stand across any two pieces.
  Turn read(std::string_view& unread) override {
    if (!spec_.expect.found_in(unread)) return {};
    return {.say = {}, .verdict = Verdict{.reason = Reason::answered}};
  }
  Verdict overflow() const override { return {Reason::wrong_answer, "64 KiB without what is expected"}; }

  TalkSpec spec_;
};

} // namespace

std::unique_ptr<Dialogue> talk(const TalkSpec& spec) { return std::make_unique<Talk>(spec); }

} // namespace hanat::probes
