// DnsHeader, question and records of a DNS answer.
#include "probes/dns_message.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <ares.h>
#include <fmt/format.h>

namespace hanat::probes {
namespace {

constexpr std::uint16_t class_in = 1;
constexpr std::size_t header_bytes = 12;

struct RecordType {
  std::string_view word;
  std::uint16_t number; // RFC 1035, 3596, 2782
};
constexpr std::array<RecordType, 9> record_types{
    {{"A", 1}, {"AAAA", 28}, {"CNAME", 5}, {"MX", 15}, {"NS", 2}, {"PTR", 12}, {"SOA", 6}, {"SRV", 33}, {"TXT", 16}}};

std::uint16_t number_of(std::string_view record) {
  const auto found = std::ranges::find(record_types, record, &RecordType::word);
  return found == record_types.end() ? std::uint16_t{0} : found->number;
}

std::string rcode_text(unsigned rcode) {
  static constexpr std::array<std::string_view, 6> words{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
  return rcode < words.size() ? std::string{words[rcode]} : fmt::format("rcode {}", rcode);
}

/// Reads a message from front to back. Once something does not fit, ok() is false and everything read is empty.
class DnsReader {
public:
  explicit DnsReader(std::string_view message) : message_(message) {}

  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }
  std::string_view take(std::size_t count) {
    if (!ok_ || count > message_.size() - at_) {
      ok_ = false;
      return {};
    }
    const auto piece = message_.substr(at_, count);
    at_ += count;
    return piece;
  }
  std::uint32_t number(std::size_t bytes) {
    std::uint32_t value = 0;
    for (const char byte : take(bytes)) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
  }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  /// In small letters, without the dot at the end.
  std::string name();

private:
  std::string_view message_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

std::string small_letters(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

std::string DnsReader::name() {
  struct Free {
    void operator()(char* text) const { ares_free_string(text); }
  };
  const auto* begin = reinterpret_cast<const unsigned char*>(message_.data());
  char* text = nullptr;
  long length = 0;
  if (!ok_ || at_ >= message_.size() ||
      ares_expand_name(begin + at_, begin, static_cast<int>(message_.size()), &text, &length) != ARES_SUCCESS) {
    ok_ = false;
    return {};
  }
  const std::unique_ptr<char, Free> owned{text};
  take(static_cast<std::size_t>(length));
  return small_letters(text);
}

std::string strings_of(std::string_view data, bool& right) {
  std::string text;
  while (!data.empty()) {
    const std::size_t length = static_cast<std::uint8_t>(data[0]);
    if (length >= data.size()) {
      right = false;
      return {};
    }
    text += data.substr(1, length);
    data.remove_prefix(1 + length);
  }
  return text;
}

/// The data of a record, `length` bytes from where the reader stands; nullopt: they are not what the type says.
std::optional<std::string> record_text(DnsReader& reader, std::string_view record, std::size_t length) {
  const std::size_t end = reader.at() + length;
  std::string text;
  bool right = true;
  if (record == "A" || record == "AAAA") {
    right = length == (record == "A" ? 4U : 16U);
    const auto bytes = reader.take(length);
    if (right && reader.ok()) text = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}).text();
  } else if (record == "TXT") {
    text = strings_of(reader.take(length), right);
  } else if (record == "MX") {
    const auto preference = reader.u16();
    text = fmt::format("{} {}", preference, reader.name());
  } else if (record == "SRV") {
    const auto priority = reader.u16(), weight = reader.u16(), port = reader.u16();
    text = fmt::format("{} {} {} {}", priority, weight, port, reader.name());
  } else if (record == "SOA") {
    const auto server = reader.name(), person = reader.name();
    text = fmt::format("{} {}", server, person);
    for (int number = 0; number < 5; ++number) text += fmt::format(" {}", reader.number(4));
  } else { // CNAME, NS, PTR
    text = reader.name();
  }
  if (!right || !reader.ok() || reader.at() != end) return std::nullopt;
  return text;
}

struct DnsHeader {
  std::uint16_t id, flags, questions, answers;
  unsigned rcode() const { return flags & 0x0fU; }
  bool is_answer() const { return (flags & 0xf800U) == 0x8000U; } // QR, and opcode QUERY
  bool truncated() const { return (flags & 0x0200U) != 0; }
};

DnsHeader read_header(DnsReader& reader) {
  DnsHeader header{.id = reader.u16(), .flags = reader.u16(), .questions = reader.u16(), .answers = reader.u16()};
  reader.take(4); // how many authorities and additional records: not looked at
  return header;
}

bool is_our_question(DnsReader& reader, const DnsSpec& spec) {
  const std::string name = reader.name();
  const auto type = reader.u16(), of_class = reader.u16();
  const auto wanted = comparable_record("NS", spec.name);
  return reader.ok() && wanted && name == *wanted && type == number_of(spec.record) && of_class == class_in;
}

/// Every record of the wanted type; nullopt: the message is broken.
std::optional<std::vector<std::string>> read_records(DnsReader& reader, const DnsHeader& header, std::string_view record) {
  std::vector<std::string> records;
  for (unsigned count = 0; count < header.answers; ++count) {
    reader.name(); // not compared: of an alias, the records have another owner
    const auto type = reader.u16(), of_class = reader.u16();
    reader.take(4); // how long it lives
    const std::size_t length = reader.u16();
    if (type == number_of(record) && of_class == class_in) {
      auto text = record_text(reader, record, length);
      if (!text) return std::nullopt;
      records.push_back(std::move(*text));
    } else {
      reader.take(length);
    }
    if (!reader.ok()) return std::nullopt;
  }
  return records;
}

} // namespace

std::span<const std::string_view> dns_records() {
  static constexpr auto words = [] {
    std::array<std::string_view, record_types.size()> result;
    for (std::size_t index = 0; index < result.size(); ++index) result[index] = record_types[index].word;
    return result;
  }();
  return words;
}

std::string dns_query(const DnsSpec& spec, std::uint16_t id) {
  struct Free {
    void operator()(unsigned char* bytes) const { ares_free_string(bytes); }
  };
  unsigned char* bytes = nullptr;
  int length = 0;
  const int type = number_of(spec.record);
  if (type == 0 || spec.name.find('\0') != std::string::npos) return {};
  constexpr int recursion_desired = 1, without_edns = 0;
  if (ares_create_query(spec.name.c_str(), class_in, type, id, recursion_desired, &bytes, &length, without_edns) != ARES_SUCCESS) return {};
  const std::unique_ptr<unsigned char, Free> owned{bytes};
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length)};
}

std::optional<std::string> comparable_record(std::string_view record, std::string_view text) {
  if (record == "TXT") return std::string{text};
  if (record == "A" || record == "AAAA") {
    const auto address = Address::parse(text);
    const Family family = record == "A" ? Family::ipv4 : Family::ipv6;
    return address && address->family() == family ? std::optional{address->text()} : std::nullopt;
  }
  std::string result;
  for (const char c : small_letters(text))
    if (c != ' ')
      result += c;
    else if (result.ends_with('.'))
      result.back() = ' '; // a name within the record
    else
      result += ' ';
  if (result.ends_with('.')) result.pop_back();
  return result;
}

std::optional<DnsVerdict> judge_dns(const DnsSpec& spec, std::uint16_t id, std::string_view datagram) {
  if (datagram.size() < header_bytes) return std::nullopt;
  DnsReader reader{datagram.substr(0, longest_dns_answer)};
  const DnsHeader header = read_header(reader);
  if (header.id != id || !header.is_answer()) return std::nullopt;
  // A server that did not understand or does not want the question may leave it out.
  const bool left_out = header.questions == 0 && header.rcode() != 0;
  if (!left_out && (header.questions != 1 || !is_our_question(reader, spec))) return std::nullopt;
  if (header.rcode() != 0) return DnsVerdict{.reason = Reason::wrong_answer, .detail = rcode_text(header.rcode())};
  if (header.truncated()) return DnsVerdict{}; // it serves the name; the whole answer would take TCP
  if (datagram.size() > longest_dns_answer) return DnsVerdict{.reason = Reason::too_large, .detail = {}};

  const auto records = read_records(reader, header, spec.record);
  if (!records) return DnsVerdict{.reason = Reason::garbled, .detail = "a record is broken"};
  if (records->empty()) return DnsVerdict{.reason = Reason::wrong_answer, .detail = fmt::format("no {} record", spec.record)};
  if (spec.answer.empty() || std::ranges::find(*records, comparable_record(spec.record, spec.answer).value_or("")) != records->end())
    return DnsVerdict{};
  return DnsVerdict{.reason = Reason::wrong_answer, .detail = sanitized(records->front())};
}

} // namespace hanat::probes
