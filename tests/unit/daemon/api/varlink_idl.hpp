// Reads a varlink interface description into types and compares JSON with them: missing, undeclared and mistyped fields, and which fields
// were seen at all. For tests of what the daemon sends. Not here: the wire (varlink), the description (methods).
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace hanat::test {

struct IdlField;
struct IdlType {
  enum class Kind : std::uint8_t { boolean, integer, number, string, object, array, map, structure, named };
  Kind kind = Kind::object;
  bool nullable = false;
  std::string name = {};             // of a named type
  std::vector<IdlField> fields;      // of a struct; no initialiser: IdlField is not complete yet
  std::vector<IdlType> element = {}; // of an array or a map: one
};
struct IdlField {
  std::string name;
  IdlType type;
};
struct IdlMethod {
  IdlType parameters, result;
};
struct Idl {
  std::string name;
  std::map<std::string, IdlType> types, errors;
  std::map<std::string, IdlMethod> methods;
};

/// Throws std::runtime_error with the line where the description is no varlink.
class IdlParser {
public:
  explicit IdlParser(std::string_view text) : text_(text) {}

  Idl parse() {
    Idl idl;
    expect_word("interface");
    idl.name = token([](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-'; });
    if (idl.name.find('.') == std::string::npos) fail("an interface's name has a dot");
    for (skip(); at_ < text_.size(); skip()) declare(idl);
    return idl;
  }

private:
  [[noreturn]] void fail(const std::string& what) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    throw std::runtime_error("line " + std::to_string(line) + ": " + what);
  }
  void skip() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#')
        at_ = std::min(text_.find('\n', at_), text_.size());
      else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
        ++at_;
      else
        return;
    }
  }
  bool take(std::string_view mark) {
    skip();
    if (text_.substr(at_, mark.size()) != mark) return false;
    at_ += mark.size();
    return true;
  }
  void expect(std::string_view mark) {
    if (!take(mark)) fail("no \"" + std::string{mark} + "\"");
  }
  template <typename Accepts> std::string token(const Accepts& accepts) {
    skip();
    const std::size_t start = at_;
    while (at_ < text_.size() && accepts(text_[at_])) ++at_;
    if (start == at_) fail("no name");
    return std::string{text_.substr(start, at_ - start)};
  }
  std::string word() {
    return token([](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; });
  }
  void expect_word(std::string_view wanted) {
    if (word() != wanted) fail("no " + std::string{wanted});
  }
  void declare(Idl& idl) {
    const std::string what = word(), name = word();
    if (std::isupper(static_cast<unsigned char>(name.front())) == 0) fail(name + " begins with no capital");
    if (!names_.insert(name).second) fail(name + " is declared twice");
    if (what == "type") {
      idl.types[name] = structure();
    } else if (what == "error") {
      idl.errors[name] = structure();
    } else if (what == "method") {
      idl.methods[name].parameters = structure();
      expect("->");
      idl.methods[name].result = structure();
    } else {
      fail(what + " is no declaration");
    }
  }
  IdlType structure() {
    IdlType type;
    type.kind = IdlType::Kind::structure;
    expect("(");
    if (take(")")) return type;
    do {
      IdlField field{.name = word(), .type = {}};
      for (const IdlField& other : type.fields)
        if (other.name == field.name) fail(field.name + " twice in one struct");
      expect(":");
      field.type = read_type();
      type.fields.push_back(std::move(field));
    } while (take(","));
    expect(")");
    return type;
  }
  IdlType read_type() {
    const bool nullable = take("?");
    IdlType type;
    if (take("[]")) {
      type.kind = IdlType::Kind::array;
      type.element.push_back(read_type());
    } else if (take("[string]")) {
      type.kind = IdlType::Kind::map;
      type.element.push_back(read_type());
    } else {
      static const std::map<std::string, IdlType::Kind, std::less<>> plain = {{"bool", IdlType::Kind::boolean},
                                                                              {"int", IdlType::Kind::integer},
                                                                              {"float", IdlType::Kind::number},
                                                                              {"string", IdlType::Kind::string},
                                                                              {"object", IdlType::Kind::object}};
      const std::string name = word();
      const auto found = plain.find(name);
      type.kind = found == plain.end() ? IdlType::Kind::named : found->second;
      if (found == plain.end()) type.name = name;
    }
    type.nullable = nullable;
    return type;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::set<std::string> names_;
};

inline Idl parse_idl(std::string_view text) { return IdlParser{text}.parse(); }

/// Compares values with the types of a description. The fields of named types are remembered as "Type.field" once they held a value.
class IdlChecker {
public:
  explicit IdlChecker(Idl idl) : idl_(std::move(idl)) {}
  const Idl& idl() const { return idl_; }

  /// "" where the value is of the type, otherwise a line for everything that is wrong.
  std::string check_result(const std::string& method, const nlohmann::json& parameters) {
    return check(parameters, idl_.methods.at(method).result, method);
  }
  /// Also of an error that is not declared.
  std::string check_error(const std::string& name, const nlohmann::json& parameters) {
    const auto found = idl_.errors.find(name);
    return found == idl_.errors.end() ? "error " + name + " is not declared\n" : check(parameters, found->second, name);
  }
  std::string check_type(const std::string& name, const nlohmann::json& value) { return check(value, named(name), name); }

  const std::set<std::string>& seen() const { return seen_; }
  /// Every field of every type, result and error.
  std::set<std::string> declared() const {
    std::set<std::string> fields;
    const auto add = [&](const std::string& name, const IdlType& type) {
      for (const IdlField& field : type.fields) fields.insert(name + "." + field.name);
    };
    for (const auto& [name, type] : idl_.types) add(name, type);
    for (const auto& [name, type] : idl_.errors) add(name, type);
    for (const auto& [name, method] : idl_.methods) add(name, method.result);
    return fields;
  }
  /// What was declared and never held a value.
  std::set<std::string> unseen() const {
    std::set<std::string> fields = declared();
    for (const std::string& field : seen_) fields.erase(field);
    return fields;
  }

private:
  IdlType named(const std::string& name) const {
    const auto found = idl_.types.find(name);
    if (found == idl_.types.end()) throw std::runtime_error("type " + name + " is not declared");
    return found->second;
  }
  std::string check(const nlohmann::json& value, const IdlType& type, const std::string& path) {
    if (value.is_null()) return type.nullable ? "" : path + " is null\n";
    const auto verdict = [&](bool good) { return good ? "" : path + " has another type: " + value.dump() + "\n"; };
    switch (type.kind) {
    case IdlType::Kind::boolean: return verdict(value.is_boolean());
    case IdlType::Kind::integer: return verdict(value.is_number_integer());
    case IdlType::Kind::number: return verdict(value.is_number());
    case IdlType::Kind::string: return verdict(value.is_string());
    case IdlType::Kind::object: return verdict(value.is_object());
    case IdlType::Kind::named: return check(value, named(type.name), type.name);
    case IdlType::Kind::structure: return check_struct(value, type, path);
    case IdlType::Kind::array:
    case IdlType::Kind::map: break;
    }
    if (type.kind == IdlType::Kind::array ? !value.is_array() : !value.is_object()) return verdict(false);
    std::string wrong;
    for (const auto& each : value) wrong += check(each, type.element.front(), path + "[]");
    return wrong;
  }
  std::string check_struct(const nlohmann::json& value, const IdlType& type, const std::string& path) {
    if (!value.is_object()) return path + " is no object: " + value.dump() + "\n";
    std::string wrong;
    std::set<std::string> known;
    for (const IdlField& field : type.fields) {
      known.insert(field.name);
      const std::string name = path + "." + field.name;
      const auto found = value.find(field.name);
      if (found == value.end()) {
        if (!field.type.nullable) wrong += name + " is missing\n";
        continue;
      }
      if (!found->is_null()) seen_.insert(name);
      wrong += check(*found, field.type, name);
    }
    for (const auto& [key, ignored] : value.items())
      if (!known.contains(key)) wrong += path + "." + key + " is not declared\n";
    return wrong;
  }

  Idl idl_;
  std::set<std::string> seen_;
};

} // namespace hanat::test
