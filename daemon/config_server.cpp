// Reads `primary`, `backup` and `snat`: text, a family each, or tables. Not here: whether servers fit the listeners (config_check).
#include "daemon/config_parts.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace hanat::config {
namespace {

constexpr std::size_t most_backups = 63;
constexpr std::string_view server_example = "\"10.0.0.11:8443\"";
constexpr std::string_view families_example = "[\"10.0.0.11:8443\", \"[fd00::11]:8443\"]";

/// Reads the servers of one key.
class ServerReader {
public:
  ServerReader(TableReader& reader, std::string_view key, std::string_view service, std::size_t file, Findings& findings)
      : reader_{reader}, key_{key}, table_{service.empty() ? "defaults" : fmt::format("service.{}", service)}, service_{service},
        file_{file}, findings_{findings} {}

  /// One address as text. nullopt after an error.
  std::optional<AddressText> address(const toml::node& node) {
    const auto* string = node.as_string();
    if (string == nullptr) {
      reader_.wrong_type(node, key_, "an address", server_example);
      return std::nullopt;
    }
    const auto parsed = parse_server(string->get());
    if (const auto* wrong = std::get_if<Complaint>(&parsed)) {
      reader_.complain(node, wrong->text);
      return std::nullopt;
    }
    const auto& [endpoint, last] = std::get<ServerPorts>(parsed);
    return AddressText{.place = reader_.place(node), .endpoint = endpoint, .last = last};
  }

  /// A list of addresses as text; empty after an error.
  std::vector<AddressText> addresses(const toml::array& list) {
    std::vector<AddressText> result;
    for (const toml::node& element : list)
      if (auto one = address(element)) result.push_back(*one);
    if (result.size() != list.size()) result.clear();
    return result;
  }

  ServerText server(const toml::node& node, std::vector<AddressText> addresses) {
    return {.place = reader_.place(node), .addresses = std::move(addresses), .snat = {}, .probes = {}};
  }
  ServerText from_text(const toml::node& node) {
    std::vector<AddressText> one;
    if (auto read = address(node)) one.push_back(*read);
    return server(node, std::move(one));
  }
  ServerText from_list(const toml::node& node, const toml::array& list);
  ServerText from_table(const toml::table& table);
  std::vector<ServerText> backups(const toml::node& node);

private:
  std::vector<ServerText> backups_from_list(const toml::array& list);

  TableReader& reader_;
  std::string_view key_;
  std::string table_; // for messages: "service.web"
  std::string_view service_;
  std::size_t file_;
  Findings& findings_;
};

bool one_a_family(const std::vector<AddressText>& addresses) {
  if (addresses.size() == 1) return true;
  return addresses.size() == 2 && addresses[0].endpoint.address.family() != addresses[1].endpoint.address.family();
}

bool of_one_family(const std::vector<AddressText>& addresses) {
  return std::ranges::all_of(
      addresses, [&](const AddressText& text) { return text.endpoint.address.family() == addresses.front().endpoint.address.family(); });
}

ServerText ServerReader::from_list(const toml::node& node, const toml::array& list) {
  auto result = server(node, addresses(list));
  if (list.empty())
    reader_.complain(node, fmt::format("{} = [] has no address: write {} = {}", key_, key_, server_example));
  else if (!result.addresses.empty() && !one_a_family(result.addresses)) {
    reader_.complain(node, fmt::format("{} has {} addresses, and a server has one a family: write {} = {}; another server is a backup",
                                       key_, grouped(list.size()), key_, families_example));
    result.addresses.clear();
  }
  return result;
}

ServerText ServerReader::from_table(const toml::table& table) {
  static constexpr std::string_view service_keys[] = {"down",      "up",      "failback", "on_failover", "on_failback",
                                                      "on_forced", "on_none", "mode",     "listen"};
  static constexpr std::string_view probe_keys[] = {"type", "interval", "fast_interval", "timeout", "slow"};
  TableReader fields{table, file_, fmt::format("{}.", key_), findings_};
  ServerReader inner{fields, "address", service_, file_, findings_};
  auto result = server(table, {});
  const toml::node* single = fields.find("address");
  const toml::node* several = fields.find("addresses");
  if (single != nullptr && several != nullptr)
    findings_.add(fields.place(*several), fmt::format("{0}.addresses stands beside {0}.address: keep one of them", key_));
  else if (single != nullptr)
    result.addresses = inner.from_text(*single).addresses;
  else if (several != nullptr && several->is_array())
    result.addresses = ServerReader{fields, "addresses", service_, file_, findings_}.from_list(*several, *several->as_array()).addresses;
  else if (several != nullptr)
    fields.wrong_type(*several, "addresses", "a list", families_example);
  else
    findings_.add(result.place, fmt::format("the {} does not say its address: write address = {}", key_, server_example));
  result.snat = read_snat(fields);
  result.probes = read_probes(fields, file_, findings_);
  fields.misplaced(service_keys, "it is a key of the service, one for all its servers");
  fields.misplaced(probe_keys, "it is a key of the probe, as in probe = { type = \"tcp\", interval = \"1s\" }");
  static constexpr std::string_view port_keys[] = {"port"};
  fields.misplaced(port_keys, "the port is part of the address, as in \"10.0.0.11:8443\"");
  fields.finish();
  return result;
}

std::vector<ServerText> ServerReader::backups_from_list(const toml::array& list) {
  std::vector<ServerText> result;
  const bool tables = std::ranges::any_of(list, [](const toml::node& node) { return node.is_table(); });
  const bool others = std::ranges::any_of(list, [](const toml::node& node) { return !node.is_table(); });
  if (list.empty())
    reader_.complain(list, "backup = [] has no server: write one, or leave backup out for a service without a backup");
  else if (tables && others)
    reader_.complain(list, fmt::format("backup mixes addresses and tables: write each server as a [[{}.backup]] table", table_));
  else if (tables)
    for (const toml::node& element : list) result.push_back(from_table(*element.as_table()));
  else if (const auto texts = addresses(list); !texts.empty()) {
    if (of_one_family(texts))
      for (const AddressText& text : texts) result.push_back({.place = text.place, .addresses = {text}, .snat = {}, .probes = {}});
    else if (one_a_family(texts))
      result.push_back(server(list, texts));
    else
      reader_.complain(list,
                       fmt::format("backup mixes IPv4 and IPv6, and which address is which server cannot be told: write each server as a "
                                   "[[{}.backup]] table with addresses = {}",
                                   table_, families_example));
  }
  return result;
}

std::vector<ServerText> ServerReader::backups(const toml::node& node) {
  if (node.is_string()) return {from_text(node)};
  if (const auto* table = node.as_table()) return {from_table(*table)};
  const auto* list = node.as_array();
  if (list == nullptr) {
    reader_.wrong_type(node, key_, "an address, a list of addresses or a table", "\"10.0.0.12:8443\"");
    return {};
  }
  if (list->size() > most_backups) {
    reader_.complain(node, fmt::format("{} backups are too many: write at most {}", grouped(list->size()), most_backups));
    return {};
  }
  return backups_from_list(*list);
}

} // namespace

Said<nat::Snat> read_snat(TableReader& reader) {
  static constexpr std::string_view known[] = {"none", "masquerade", "hairpin"};
  return reader.parsed<nat::Snat>("snat", "masquerade", [](std::string_view text) -> Parsed<nat::Snat> {
    if (text == "none") return nat::Snat{};
    if (text == "masquerade") return nat::Snat{.kind = nat::SnatKind::masquerade, .address = {}};
    if (text == "hairpin") return nat::Snat{.kind = nat::SnatKind::hairpin, .address = {}};
    if (const auto meant = nearest(text, known); !meant.empty())
      return complaint("snat = {} is not known: did you mean \"{}\"?", shown(text), meant);
    if (text.find_first_of(".:/") == std::string_view::npos)
      return complaint("snat = {} is not known: write \"none\", \"masquerade\", \"hairpin\" or an address of this gateway", shown(text));
    const auto address = parse_single_address(text, AddressUse::snat);
    if (const auto* wrong = std::get_if<Complaint>(&address)) return *wrong;
    return nat::Snat{.kind = nat::SnatKind::address, .address = std::get<Address>(address)};
  });
}

Said<ServerText> read_primary(TableReader& reader, std::size_t file, Findings& findings) {
  Said<ServerText> result;
  const toml::node* node = reader.find("primary");
  if (node == nullptr) return result;
  result.said = true;
  result.place = reader.place(*node);
  ServerReader servers{reader, "primary", {}, file, findings};
  if (node->is_string())
    result.value = servers.from_text(*node);
  else if (const auto* table = node->as_table())
    result.value = servers.from_table(*table);
  else if (const auto* list = node->as_array(); list != nullptr && !list->empty() && list->is_homogeneous<toml::table>())
    reader.complain(*node, "primary is a list of tables, and there is one primary: write primary = { address = \"10.0.0.11:8443\" }");
  else if (list != nullptr)
    result.value = servers.from_list(*node, *list);
  else
    reader.wrong_type(*node, "primary", "an address, a list of one address a family or a table", server_example);
  return result;
}

Said<std::vector<ServerText>> read_backups(TableReader& reader, std::string_view service, std::size_t file, Findings& findings) {
  Said<std::vector<ServerText>> result;
  const toml::node* node = reader.find("backup");
  if (node == nullptr) return result;
  result.said = true;
  result.place = reader.place(*node);
  result.value = ServerReader{reader, "backup", service, file, findings}.backups(*node);
  return result;
}

} // namespace hanat::config
