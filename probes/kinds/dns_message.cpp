// Header, question section and records.
#include "probes/kinds/dns_message.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <ares.h>
#include <fmt/format.h>

#include "probes/io/wire_reader.hpp"

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

/// Reads a message from front to back, and keeps all of it for compressed names. After an error, ok() is false and reads return nothing.
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
  /// In lower case, without the final dot.
  std::string name();

private:
  std::string_view message_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

std::string lower_case(std::string_view text) {
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
  return lower_case(text);
}

std::string strings_of(std::string_view data, bool& valid) {
  std::string text;
  while (!data.empty()) {
    const std::size_t length = static_cast<std::uint8_t>(data[0]);
    if (length >= data.size()) {
      valid = false;
      return {};
    }
    text += data.substr(1, length);
    data.remove_prefix(1 + length);
  }
  return text;
}

/// The next `length` bytes as the data of a record; nullopt: not valid for its type.
std::optional<std::string> record_text(DnsReader& reader, std::string_view record, std::size_t length) {
  const std::size_t end = reader.at() + length;
  std::string text;
  bool valid = true;
  if (record == "A" || record == "AAAA") {
    valid = length == (record == "A" ? 4U : 16U);
    const auto bytes = reader.take(length);
    if (valid && reader.ok()) text = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}).text();
  } else if (record == "TXT") {
    text = strings_of(reader.take(length), valid);
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
  if (!valid || !reader.ok() || reader.at() != end) return std::nullopt;
  return text;
}

struct DnsHeader {
  std::uint16_t id, flags, query_count, answer_count;
  unsigned rcode() const { return flags & 0x0fU; }
  bool is_response() const { return (flags & 0xf800U) == 0x8000U; } // QR, and opcode QUERY
  bool truncated() const { return (flags & 0x0200U) != 0; }
};

DnsHeader read_header(DnsReader& reader) {
  DnsHeader header{.id = reader.u16(), .flags = reader.u16(), .query_count = reader.u16(), .answer_count = reader.u16()};
  reader.take(4); // the counts of authority and additional records: not checked
  return header;
}

/// A server for some domains alone refuses to answer for the root, which is asked where nothing is configured.
std::string error_text(const DnsHeader& header, const DnsSpec& spec) {
  constexpr unsigned refused = 5;
  const bool root = header.rcode() == refused && (spec.name.empty() || spec.name == ".");
  return rcode_text(header.rcode()) + (root ? ": set the probe's name to one that this server answers for" : "");
}

bool is_our_query(DnsReader& reader, const DnsSpec& spec) {
  const std::string name = reader.name();
  const auto type = reader.u16(), of_class = reader.u16();
  const auto expected = comparable_record("NS", spec.name);
  return reader.ok() && expected && name == *expected && type == number_of(spec.record) && of_class == class_in;
}

/// A name as labels with their lengths; empty: not a valid name.
std::string encode_name(std::string_view name) {
  constexpr std::size_t longest_label = 63, longest_name = 255;
  if (name.empty() || name.find('\0') != std::string_view::npos) return {};
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.ends_with('.')) return {};
  std::string bytes;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > longest_label) return {};
    bytes += static_cast<char>(label.size());
    bytes += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  bytes += '\0';
  return bytes.size() <= longest_name ? bytes : std::string{};
}

/// Every record of the given type; nullopt: the message is malformed.
std::optional<std::vector<std::string>> read_records(DnsReader& reader, const DnsHeader& header, std::string_view record) {
  std::vector<std::string> records;
  for (unsigned count = 0; count < header.answer_count; ++count) {
    reader.name(); // not compared: behind an alias the records have another owner
    const auto type = reader.u16(), of_class = reader.u16();
    reader.take(4); // TTL
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
  const auto type = number_of(spec.record);
  const auto name = encode_name(spec.name);
  if (type == 0 || name.empty()) return {};
  constexpr std::uint16_t recursion_desired = 0x0100;
  const std::string header = big_endian(id, 2) + big_endian(recursion_desired, 2) + big_endian(1, 2) + std::string(6, '\0'); // 1 question
  return header + name + big_endian(type, 2) + big_endian(class_in, 2);
}

std::optional<std::string> comparable_record(std::string_view record, std::string_view text) {
  if (record == "TXT") return std::string{text};
  if (record == "A" || record == "AAAA") {
    const auto address = Address::parse(text);
    const Family family = record == "A" ? Family::ipv4 : Family::ipv6;
    return address && address->family() == family ? std::optional{address->text()} : std::nullopt;
  }
  std::string result;
  for (const char c : lower_case(text))
    if (c != ' ')
      result += c;
    else if (result.ends_with('.'))
      result.back() = ' '; // the final dot of a name within the record
    else
      result += ' ';
  if (result.ends_with('.')) result.pop_back();
  return result;
}

std::optional<Verdict> judge_dns(const DnsSpec& spec, std::uint16_t id, std::string_view datagram) {
  if (datagram.size() < header_bytes) return std::nullopt;
  DnsReader reader{datagram.substr(0, longest_dns_response)};
  const DnsHeader header = read_header(reader);
  if (header.id != id || !header.is_response()) return std::nullopt;
  // An error response may omit the question section.
  const bool no_question = header.query_count == 0 && header.rcode() != 0;
  if (!no_question && (header.query_count != 1 || !is_our_query(reader, spec))) return std::nullopt;
  if (header.rcode() != 0) return Verdict{.reason = Reason::wrong_answer, .detail = error_text(header, spec)};
  if (header.truncated()) return Verdict{}; // the server has records for the name; the whole response would need TCP
  if (datagram.size() > longest_dns_response) return Verdict{.reason = Reason::too_large, .detail = {}};

  const auto records = read_records(reader, header, spec.record);
  if (!records) return Verdict{.reason = Reason::garbled, .detail = "a record is malformed"};
  if (records->empty()) return Verdict{.reason = Reason::wrong_answer, .detail = fmt::format("no {} record", spec.record)};
  if (spec.answer.empty() || std::ranges::find(*records, comparable_record(spec.record, spec.answer).value_or("")) != records->end())
    return Verdict{};
  return Verdict{.reason = Reason::wrong_answer, .detail = records->front()};
}

} // namespace hanat::probes
