// Judges one HTTP response as libcurl delivers it. Pure. Not here: curl's handles and sockets (http).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "probes/result.hpp"

namespace hanat::probes {

/// The code of "HTTP/1.1 200 OK" or "HTTP/2 200 " (libcurl's form): one digit for each part of the version, three for the code, 100 to 999.
/// nullopt for anything else.
std::optional<unsigned> parse_status_line(std::string_view line);

bool matches(const std::vector<StatusRange>& ranges, unsigned status);

/// How far a transfer got.
enum class Phase : std::uint8_t { connecting, tls, waiting, receiving };
std::string_view to_text(Phase phase);

/// Reads one response as it arrives, until there is a verdict. Its memory is bounded.
class HttpReader {
public:
  HttpReader() = default;
  virtual ~HttpReader() = default;
  HttpReader(const HttpReader&) = delete;
  HttpReader& operator=(const HttpReader&) = delete;

  /// One whole header line (or trailer), or a piece of the body. False: there is a verdict, abort the transfer.
  virtual bool header(std::string_view line) = 0;
  virtual bool body(std::string_view piece) = 0;
  /// The transfer is complete: reaches a verdict if there is none yet.
  virtual void end() = 0;

  /// Null while there is none. Its detail is sanitized.
  const Verdict* verdict() const { return verdict_ ? &*verdict_ : nullptr; }

protected:
  /// Returns false, for header() and body() to do the same.
  bool decide(Reason reason, std::string_view detail);

private:
  std::optional<Verdict> verdict_;
};

/// The response to a probe of kind http or https.
class HttpResponse final : public HttpReader {
public:
  explicit HttpResponse(const HttpSpec& spec) : spec_(spec) {}

  bool header(std::string_view line) override;
  bool body(std::string_view piece) override;
  void end() override;
  bool header_complete() const { return header_complete_; }

  static constexpr std::size_t longest_header = std::size_t{64} << 10; // of all lines together, including 1xx responses and trailers
  static constexpr std::size_t longest_body = std::size_t{64} << 10;   // what is read; a real health page is far shorter

private:
  bool end_of_header();
  bool judge_body();

  const HttpSpec& spec_;
  std::size_t header_bytes_ = 0, body_bytes_ = 0;
  bool status_line_next_ = true, header_complete_ = false;
  unsigned status_ = 0;
  std::string text_; // kept only if the spec has a `body`
};

/// A transfer that failed without a verdict, as libcurl reports it.
struct Failure {
  CURLcode code = CURLE_OK;
  int error = 0; // errno, 0: none
  Phase phase = Phase::connecting;
  bool tls = false, http2 = false;
  bool attempted = false;   // connect() has begun
  std::string_view message; // curl's; may be empty
};
ProbeResult result_from_curl(const Failure& failure, Clock::duration latency);

} // namespace hanat::probes
