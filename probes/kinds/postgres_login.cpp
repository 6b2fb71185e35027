// The kinds of authentication by their numbers.
#include "probes/kinds/postgres_login.hpp"

#include <utility>

#include <fmt/format.h>

#include "probes/io/wire_reader.hpp"
#include "probes/kinds/digest.hpp"

namespace hanat::probes {
namespace {

// Authentication messages.
constexpr std::uint32_t logged_in = 0, cleartext = 3, md5 = 5, sasl = 10, sasl_continue = 11, sasl_final = 12;

Verdict login_failed(std::string detail, std::string remedy = {}) {
  return {.reason = Reason::wrong_answer, .detail = std::move(detail), .remedy = std::move(remedy)};
}

} // namespace

std::string postgres_message(char type, std::string_view body) {
  std::string bytes = type == '\0' ? std::string{} : std::string(1, type);
  return bytes + big_endian(static_cast<std::uint32_t>(body.size() + 4), 4) + std::string{body};
}

void PostgresLogin::secured(std::string end_point) {
  secured_ = true;
  end_point_ = std::move(end_point);
}

void PostgresLogin::on_request(std::uint32_t request, std::string_view rest, Step& step) {
  switch (request) {
  case logged_in:
    if (scram_ && !proven_) step.verdict = login_failed("the server did not prove that it knows the password");
    return;
  case cleartext:
    if (secured_) return send_password(password_.reveal(), step);
    step.verdict = login_failed("the server wants the password in the clear", "write tls = true, or let it use scram-sha-256");
    return;
  case md5: {
    const std::string inner = md5_hex(std::string{password_.reveal()} + user_);
    return send_password("md5" + md5_hex(inner + std::string{rest.substr(0, 4)}), step);
  }
  case sasl: return choose_mechanism(rest, step);
  case sasl_continue: return on_server_first(rest, step);
  case sasl_final:
    proven_ = scram_ && scram_->verify(rest);
    if (!proven_) step.verdict = login_failed("the server does not know the password: perhaps it is another one");
    return;
  default:
    step.verdict = login_failed(fmt::format("the server wants another kind of login (number {})", request),
                                "let it use scram-sha-256 for this user in pg_hba.conf");
  }
}

void PostgresLogin::choose_mechanism(std::string_view offered, Step& step) {
  bool scram = false, bound = false;
  WireReader reader{offered};
  for (auto name = reader.text(); !reader.failed() && !name.empty(); name = reader.text()) {
    scram = scram || name == "SCRAM-SHA-256";
    bound = bound || name == "SCRAM-SHA-256-PLUS";
  }
  if (!scram && !bound) {
    step.verdict = login_failed("the server offers no login by SCRAM-SHA-256");
    return;
  }
  scram_.emplace(password_, end_point_, bound);
  const std::string first = scram_->first_message();
  step.send += postgres_message('p', std::string{scram_->mechanism()} + '\0' + big_endian(first.size(), 4) + first);
}

void PostgresLogin::on_server_first(std::string_view message, Step& step) {
  if (!scram_) {
    step.verdict = Verdict{Reason::garbled, "login: no SCRAM message"};
    return;
  }
  if (const std::string wrong = scram_->on_server_first(message); !wrong.empty())
    step.verdict = Verdict{Reason::garbled, "login: " + wrong};
  else if (step.work = scram_->work(); !step.work)
    on_worked(step);
}

void PostgresLogin::on_worked(Step& step) {
  const auto message = scram_ ? scram_->final_message() : std::nullopt;
  if (message)
    step.send += postgres_message('p', *message);
  else
    step.verdict = login_failed("this machine's OpenSSL has no PBKDF2");
}

void PostgresLogin::send_password(std::string_view text, Step& step) const { step.send += postgres_message('p', std::string{text} + '\0'); }

std::string_view PostgresLogin::remedy(std::string_view state, std::string_view text) const {
  if (state == "28P01" && !password_.empty()) return "check user and password_file, and whether the password has expired (VALID UNTIL)";
  const bool no_tls = text.find("no encryption") != std::string_view::npos || text.find("SSL off") != std::string_view::npos;
  if (state == "28000" && no_tls) return "it wants TLS here: write tls = true";
  return {};
}

} // namespace hanat::probes
