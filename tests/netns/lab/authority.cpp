// `openssl ca`.
#include "tests/netns/lab/authority.hpp"

#include <utility>

#include <fmt/format.h>

namespace hanat::test {

Authority::Authority(const TempFolder& folder, std::string name) : folder_(folder), name_(std::move(name)) {
  folder_.write((name_ + ".cnf").c_str(),
                fmt::format("[ca]\ndefault_ca=c\n[c]\ndatabase={}.index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n"
                            "unique_subject=no\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:db.example,IP:127.0.0.1\n",
                            name_));
  folder_.write((name_ + ".index").c_str(), "");
  shell(fmt::format("cd {0} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN={1}' -days 99 "
                    "-keyout {1}.key -out {1}.crt 2>/dev/null",
                    folder_.path().string(), name_));
}

void Authority::issue(const std::string& name, const std::string& validity, const std::string& owner) const {
  shell(
      fmt::format("cd {0} && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={2} -keyout {2}.key "
                  "-out {2}.csr 2>/dev/null && openssl ca -batch -config {1}.cnf -cert {1}.crt -keyfile {1}.key -in {2}.csr -extensions x "
                  "-notext -out {2}.crt {3} 2>/dev/null && chmod 600 {2}.key && chown {4} {2}.key",
                  folder_.path().string(), name_, name, validity, owner));
}

} // namespace hanat::test
