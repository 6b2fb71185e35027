// Elements of a set that is read while others commit: all of them or none. Not here: what readers make of them (unit tests of theirs).
#include "nat/nftables/element_dump.hpp"

#include <atomic>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/scripted.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::nat {
namespace {

constexpr unsigned in_the_set = 20'000; // of which a dump takes some milliseconds

std::string table_with_elements() {
  std::string text = "table inet dumped {\n set other { type inet_service; }\n set many { type ipv4_addr; elements = { ";
  for (unsigned number = 0; number < in_the_set; ++number) text += fmt::format("198.18.{}.{}, ", number / 250, number % 250 + 1);
  return text + "} }\n}\n";
}

TEST(ElementDump, IsWholeWhateverIsCommittedMeanwhile) {
  test::isolated([] {
    const test::TempDir directory;
    test::write_text(directory / "table.nft", table_with_elements());
    test::shell("nft -f " + (directory / "table.nft"));
    std::atomic<bool> over = false;
    std::thread commits([&over] {
      while (!over) test::shell("nft 'add element inet dumped other { 1 }; delete element inet dumped other { 1 }'");
    });
    ElementDump dump{"dumped"};
    const std::vector<std::string> sets{"many"};
    for (int reads = 0; reads < 20; ++reads) {
      unsigned elements = 0;
      const auto count = [](nftnl_set_elem*, void* number) {
        ++*static_cast<unsigned*>(number);
        return 0;
      };
      try {
        dump.read(sets, "read a set",
                  {.begin = [&] { elements = 0; },
                   .part = [&](const std::string&,
                               const nftnl_set& part) { nftnl_set_elem_foreach(const_cast<nftnl_set*>(&part), count, &elements); }});
        EXPECT_EQ(elements, in_the_set);
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::interrupted) << error.what(); // by a kernel that says so, five times in a row
      }
    }
    over = true;
    commits.join();
  });
}

TEST(ElementDump, OfASetThatIsNotThereSaysSo) {
  test::isolated([] {
    ElementDump dump{"dumped"};
    EXPECT_THROW(
        dump.read(std::vector<std::string>{"many"}, "read a set", {.begin = [] {}, .part = [](const std::string&, const nftnl_set&) {}}),
        std::system_error);
  });
}

} // namespace
} // namespace hanat::nat
