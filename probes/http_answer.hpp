// Judges what libcurl brought back of one HTTP answer. Pure. Not here: curl's handles and sockets (http).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "probes/probe.hpp"

namespace hanat::probes {

/// The code of "HTTP/1.1 200 OK" or "HTTP/2 200 " (so libcurl writes it): one digit each for the version, exactly three for the code, 100
/// to 999. nullopt for anything else.
std::optional<unsigned> parse_status_line(std::string_view line);

bool matches(const std::vector<StatusRange>& ranges, unsigned status);

/// How far a transfer came.
enum class Phase : std::uint8_t { connecting, tls, waiting, receiving };
std::string_view to_text(Phase phase);

/// Reads one answer as it comes in, and stops as soon as it is decided. The memory it takes is bounded.
class HttpReader {
public:
  HttpReader() = default;
  virtual ~HttpReader() = default;
  HttpReader(const HttpReader&) = delete;
  HttpReader& operator=(const HttpReader&) = delete;

  /// One whole header line (or trailer), or a piece of the body. False: enough was read, break the transfer off.
  virtual bool header(std::string_view line) = 0;
  virtual bool body(std::string_view piece) = 0;
  /// The transfer came to its end: decides if nothing was decided before.
  virtual void end() = 0;

  struct Verdict {
    Reason reason = Reason::answered;
    std::string detail;
  };
  /// Null while nothing is decided.
  const Verdict* verdict() const { return verdict_ ? &*verdict_ : nullptr; }

protected:
  /// Returns false, for header() and body() to do the same.
  bool decide(Reason reason, std::string_view detail);

private:
  std::optional<Verdict> verdict_;
};

/// What http and https want to know.
class HttpAnswer final : public HttpReader {
public:
  explicit HttpAnswer(const HttpSpec& spec) : spec_(spec) {}

  bool header(std::string_view line) override;
  bool body(std::string_view piece) override;
  void end() override;
  bool header_complete() const { return header_complete_; }

  static constexpr std::size_t longest_header = std::size_t{64} << 10; // of all lines together, 1xx answers and trailers included
  static constexpr std::size_t longest_body = std::size_t{64} << 10;   // what is read; a sane health page is far shorter

private:
  bool end_of_header();
  bool judge_body();

  const HttpSpec& spec_;
  std::size_t header_bytes_ = 0, body_bytes_ = 0;
  bool status_line_next_ = true, header_complete_ = false;
  unsigned status_ = 0;
  std::string text_; // only while `body` asks for it
};

/// What libcurl says of a transfer that failed before a verdict.
struct Failure {
  CURLcode code = CURLE_OK;
  int error = 0; // errno, 0: none
  Phase phase = Phase::connecting;
  bool tls = false, http2 = false;
  std::string_view words; // curl's own, may be empty
};
Answer answer_from_curl(const Failure& failure, Clock::duration latency);

} // namespace hanat::probes
