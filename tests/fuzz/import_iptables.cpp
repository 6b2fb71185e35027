// Feeds any bytes to the import of iptables's configuration. Not here: what must hold (import_check).
#include "tests/fuzz/import_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return hanat::test::check_import(hanat::cli::imports::System::iptables, data, size);
}
