// What is said to a server over one TCP connection and what its words mean: a machine that is fed bytes, in whatever pieces they come,
// until it has a verdict. A new kind is one file with one machine. Not here: sockets and deadlines (conversation), TOML.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "probes/probe.hpp"

namespace hanat::probes {

/// What a server's words come to. `answered` is the only normal reason.
struct Verdict {
  Reason reason = Reason::answered;
  std::string detail{}; // as the server said it; who passes it on makes it fit for a terminal
  bool operator==(const Verdict&) const = default;
};

/// What follows from what was heard: words to say, and perhaps the verdict. With both, the words are a farewell that needs no answer.
struct Turn {
  std::string say;
  std::optional<Verdict> verdict;
};

class Dialogue {
public:
  static constexpr std::size_t longest_heard = std::size_t{64} << 10; // of a whole dialogue; a sane one is far shorter

  explicit Dialogue(std::size_t most = longest_heard) : most_(most) {}
  virtual ~Dialogue() = default;
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;

  /// The first words, when the connection is made; empty where the server speaks first.
  virtual Turn begin() { return {}; }
  /// What the server said next. Nothing is to be heard after a verdict.
  Turn hear(std::string_view bytes);
  /// The server closed the connection before the verdict.
  virtual Verdict closed() const { return {Reason::closed, std::string{stage()}}; }
  /// How far the dialogue came.
  virtual std::string_view stage() const { return heard_ == 0 ? "connected, no answer" : "answer not complete"; }
  /// Whether the server is left with FIN: some log, or count against us, every client that leaves with RST. FIN costs a TIME_WAIT here.
  virtual bool leaves_politely() const { return false; }

protected:
  /// Takes from the front of `unread` what it understands; the rest comes again, with more behind it.
  virtual Turn read(std::string_view& unread) = 0;
  /// `most` bytes were heard, and no verdict was among them.
  virtual Verdict overflow() const { return {Reason::too_large, {}}; }

private:
  std::size_t most_, heard_ = 0;
  std::string unread_;
};

/// A dialogue with a server that speaks in lines.
class LineDialogue : public Dialogue {
protected:
  /// A line, or the beginning of one, of more than `longest` characters is garbled.
  explicit LineDialogue(std::size_t longest) : longest_(longest) {}
  /// Adds to the turn what follows from a line, which comes without its end. Not called after a verdict.
  virtual void hear_line(std::string_view line, Turn& turn) = 0;

private:
  Turn read(std::string_view& unread) final;
  std::size_t longest_;
};

/// Who logs in where the configuration names nobody.
inline constexpr const char* stranger = "hanat";

// The machines, each in a file of its name.
std::unique_ptr<Dialogue> talk(const TalkSpec& spec);
std::unique_ptr<Dialogue> redis(const RedisSpec& spec);
std::unique_ptr<Dialogue> postgres(const SqlSpec& spec);
std::unique_ptr<Dialogue> mysql(const SqlSpec& spec);
std::unique_ptr<Dialogue> smtp(const SmtpSpec& spec);
/// `server` is checked for where no host was said. Throws std::runtime_error with OpenSSL's words where it does not do its part.
std::unique_ptr<Dialogue> tls(const TlsSpec& spec, const Address& server);

/// The machine for a question; null for a kind that is no dialogue over TCP.
std::unique_ptr<Dialogue> dialogue_for(const Question& question);

} // namespace hanat::probes
