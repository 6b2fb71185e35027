// Elements of one set as netlink attributes, in lists that fit into one attribute each. A flip encodes a handful of elements, and a dead
// server's services fifteen thousand: so they become bytes at once, without an object of libnftnl for each. Pure. Not here: which elements
// there are, their keys and data (set_elements), the messages around them (transaction).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "nat/address.hpp"

struct nlmsghdr;

namespace hanat::nat {

/// A key in the form of nf_tables registers: every part of a concatenation is padded to 4 bytes.
class KeyBytes {
public:
  void add(const Address& address);
  void add(Protocol protocol);
  void add_port(std::uint16_t port);
  /// The whole key: one byte.
  void set(Family family);
  /// A copy with another port at this offset.
  KeyBytes with_port(std::uint32_t at, std::uint16_t port) const;
  const std::uint8_t* data() const { return bytes_.data(); }
  std::uint32_t size() const { return size_; }

private:
  std::uint8_t* take(std::uint32_t length);
  std::array<std::uint8_t, 64> bytes_{}; // NFT_DATA_VALUE_MAXLEN
  std::uint32_t size_ = 0;
};

/// nf_tables' number of the family.
constexpr std::uint8_t nfproto(Family family) { return family == Family::ipv4 ? 2 : 10; } // NFPROTO_IPV4, NFPROTO_IPV6

struct Element {
  KeyBytes key;               // of a range: with its first port
  KeyBytes key_end;           // only of a range: with its last port
  KeyBytes data;              // only of dnat and snat
  bool has_verdict = false;   // of a verdict map
  bool returns = false;       // its verdict is a jump, not goto
  const char* jump = nullptr; // its chain; nullptr: the verdict is drop
  std::string_view comment;
};

class ElementList {
public:
  /// `key_only`: an element that is deleted.
  void add(const Element& element, bool key_only);
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  /// A list of at most 64 KiB: a message whose payload are the elements.
  const nlmsghdr* part(std::size_t index) const { return reinterpret_cast<const nlmsghdr*>(parts_[index].data()); }
  std::size_t parts() const { return parts_.size(); }

private:
  nlmsghdr* room_for_one();
  std::vector<std::vector<std::uint8_t>> parts_;
  std::size_t size_ = 0;
};

} // namespace hanat::nat
