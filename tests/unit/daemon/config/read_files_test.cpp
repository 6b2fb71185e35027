// Configuration files as files: type, size, permissions, conf.d and symbolic links.
// Not here: their content (load_config_test).
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/config/load_config.hpp"
#include "tests/unit/temp_dir.hpp"

namespace {

namespace fs = std::filesystem;
using namespace hanat;

const fs::path example = fs::path{HANAT_SOURCE} / "packaging/examples/hanat.toml";

class ConfigFiles : public testing::Test {
protected:
  fs::path path(const fs::path& name) const { return folder_.path() / name; }
  fs::path write(const fs::path& name, const std::string& text, mode_t mode = 0644) const {
    fs::create_directories(path(name).parent_path());
    std::ofstream{path(name)} << text;
    ::chmod(path(name).c_str(), mode);
    return path(name);
  }
  static std::string service(const std::string& name, int port, const std::string& more = {}) {
    return "[service." + name + "]\nlisten = \"203.0.113.10:" + std::to_string(port) + "/tcp\"\nprimary = \"10.0.0.1\"\n" + more;
  }
  /// The errors of hanat.toml, one a line, the folder's name shortened to "~".
  std::string errors(const fs::path& name = "hanat.toml") const {
    const auto result = load_config(path(name));
    const auto* found = std::get_if<std::vector<ConfigError>>(&result);
    std::string lines;
    if (found == nullptr) return lines;
    for (const ConfigError& error : *found) lines += (lines.empty() ? "" : "\n") + to_text(error);
    for (auto at = lines.find(folder_.path().string()); at != std::string::npos; at = lines.find(folder_.path().string()))
      lines.replace(at, folder_.path().string().size(), "~");
    return lines;
  }

  test::TempDir folder_;
};

TEST_F(ConfigFiles, ServicesOfConfDFollowInTheOrderOfTheFilesNames) {
  write("hanat.toml", "[defaults]\non_none = \"drop\"\n" + service("main", 1));
  write("conf.d/20-b.toml", service("b", 2));
  write("conf.d/10-c.toml", service("c", 3));
  write("conf.d/10-d.toml.disabled", "nonsense");
  write("conf.d/.hidden.toml", "nonsense");
  fs::create_directory(path("conf.d/folder"));
  const auto result = load_config(path("hanat.toml"));
  ASSERT_TRUE(std::holds_alternative<Config>(result)) << errors();
  const auto& services = std::get<Config>(result).services;
  ASSERT_EQ(services.size(), 3U);
  EXPECT_EQ(services[0]->name, "main");
  EXPECT_EQ(services[1]->name, "c");
  EXPECT_EQ(services[2]->name, "b");
  EXPECT_EQ(services[2]->on_none, OnNone::drop); // [defaults] of the main file
}

TEST_F(ConfigFiles, TheExampleIsValidAndHasNoServices) {
  const auto result = load_config(example);
  ASSERT_TRUE(std::holds_alternative<Config>(result));
  EXPECT_EQ(std::get<Config>(result), Config{});
}

TEST_F(ConfigFiles, AMissingFileIsAnError) { EXPECT_EQ(errors(), "~/hanat.toml: no such file: create it, or name another file"); }

TEST_F(ConfigFiles, ADirectoryIsAnError) {
  fs::create_directory(path("hanat.toml"));
  EXPECT_EQ(errors(), "~/hanat.toml: this is a directory: name a regular file");
}

TEST_F(ConfigFiles, AFifoIsAnErrorAndDoesNotBlock) {
  ASSERT_EQ(::mkfifo(path("hanat.toml").c_str(), 0600), 0);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(errors(), "~/hanat.toml: this is a fifo: name a regular file");
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds{5});
}

TEST_F(ConfigFiles, ADeviceIsAnError) {
  fs::create_symlink("/dev/zero", path("hanat.toml"));
  EXPECT_EQ(errors(), "~/hanat.toml: this is a device: name a regular file");
}

TEST_F(ConfigFiles, AHugeFileIsAnErrorAndIsNotRead) {
  write("hanat.toml", "");
  ASSERT_EQ(::truncate(path("hanat.toml").c_str(), 100 << 20), 0);
  EXPECT_EQ(errors(), "~/hanat.toml: the file has 104,857,600 bytes, but the maximum is 16,777,216: name a configuration file");
}

TEST_F(ConfigFiles, AWorldWritableFileIsAnError) {
  write("hanat.toml", service("a", 1), 0666);
  EXPECT_EQ(errors(), "~/hanat.toml: this file is world-writable, so anyone could redirect traffic: check its content, then run `chmod o-w "
                      "FILE`");
}

TEST_F(ConfigFiles, AFileThatMayNotBeReadIsAnError) {
  write("hanat.toml", service("a", 1), 0);
  std::string found;
  std::thread([&] { // without its capabilities root cannot read everything
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> none{};
    ASSERT_EQ(::syscall(SYS_capset, &header, none.data()), 0);
    found = errors();
  })
      .join();
  EXPECT_EQ(found, "~/hanat.toml: permission denied: allow the user that reads it, as in `chgrp hanat FILE` and `chmod 640 FILE`");
}

TEST_F(ConfigFiles, AMainFileThatIsALinkIsFollowed) {
  write("other/real.toml", service("a", 1));
  fs::create_symlink(path("other/real.toml"), path("hanat.toml"));
  EXPECT_EQ(errors(), "");
}

TEST_F(ConfigFiles, ALinkInConfDIsAnError) {
  write("hanat.toml", service("a", 1));
  write("secret.toml", service("b", 2));
  fs::create_directory(path("conf.d"));
  fs::create_symlink("../secret.toml", path("conf.d/b.toml"));
  EXPECT_EQ(errors(), "~/conf.d/b.toml: this is a symbolic link, which is not followed here: put the file itself into conf.d");
}

TEST_F(ConfigFiles, OtherFileTypesInConfDAreErrors) {
  write("hanat.toml", service("a", 1));
  fs::create_directories(path("conf.d/a.toml"));
  ASSERT_EQ(::mkfifo(path("conf.d/b.toml").c_str(), 0600), 0);
  write("conf.d/c.toml", "", 0666);
  EXPECT_EQ(errors(),
            "~/conf.d/a.toml: this is a directory: name a regular file\n"
            "~/conf.d/b.toml: this is a fifo: name a regular file\n"
            "~/conf.d/c.toml: this file is world-writable, so anyone could redirect traffic: check its content, then run `chmod o-w FILE`");
}

TEST_F(ConfigFiles, AllFilesOfConfDTogetherHaveALimit) {
  write("hanat.toml", service("a", 1));
  for (const char* name : {"conf.d/a.toml", "conf.d/b.toml", "conf.d/c.toml", "conf.d/d.toml", "conf.d/e.toml", "conf.d/f.toml"}) {
    write(name, "");
    ASSERT_EQ(::truncate(path(name).c_str(), 15 << 20), 0);
  }
  const auto files = config::read_extra_files(path("hanat.toml"));
  ASSERT_EQ(files.size(), 5U) << "the rest is not read";
  EXPECT_NE(std::get<config::Error>(files.back().content).text.find("more than 67,108,864 bytes together"), std::string::npos);
}

TEST_F(ConfigFiles, AWorldWritableConfDIsAnError) {
  write("hanat.toml", service("a", 1));
  fs::create_directory(path("conf.d"));
  ASSERT_EQ(::chmod(path("conf.d").c_str(), 0777), 0);
  EXPECT_EQ(errors(),
            "~/conf.d: this directory is world-writable, so anyone could redirect traffic: check its files, then run `chmod o-w DIR`");
}

TEST_F(ConfigFiles, AConfDThatIsAFileIsAnError) {
  write("hanat.toml", service("a", 1));
  write("conf.d", "");
  EXPECT_EQ(errors(), "~/conf.d: this is not a directory: make it one, or remove it");
}

TEST_F(ConfigFiles, DaemonAndDefaultsBelongInTheMainFile) {
  write("hanat.toml", service("a", 1));
  write("conf.d/b.toml", "[hanatd]\non_stop = \"keep\"\n[defaults]\nsnat = \"none\"\n");
  EXPECT_EQ(
      errors(),
      "~/conf.d/b.toml:1:1: [hanatd] belongs in the main file, where it applies to the services of all files: move it there\n"
      "~/conf.d/b.toml:3:1: [defaults] is for the main file only, where it changes the services of all files. For the services of this "
      "file: write its keys, such as mode, into each [service.NAME] here, and remove [defaults]");
}

TEST_F(ConfigFiles, ErrorsBetweenFilesNameBothFiles) {
  write("hanat.toml", service("a", 1) + service("b", 2));
  write("conf.d/x.toml", service("a", 3));
  write("conf.d/y.toml", service("c", 2, "backup = \"203.0.113.10:1\"\n"));
  EXPECT_EQ(errors(),
            "~/conf.d/x.toml:1:1: service a is defined twice, first in line 1 of ~/hanat.toml: rename or remove one of them\n"
            "~/conf.d/y.toml:2:10: \"203.0.113.10:2/tcp\" is already a listener of service b (line 5 of ~/hanat.toml): remove one of them\n"
            "~/conf.d/y.toml:4:10: 203.0.113.10:1/tcp, the backup of service c, is a listener of service a (line 2 of "
            "~/hanat.toml): its traffic would come back to this gateway; write the server's own address");
}

TEST_F(ConfigFiles, ErrorsOfAllFilesComeAtOnceEvenIfOneIsNotToml) {
  write("hanat.toml", "[defaults\n");
  write("conf.d/a.toml",
        "[service.a]\nlisten = \"203.0.113.10:1/tcp\"\n[service.b]\ncolour = 1\nlisten = 3\n"); // primary may be in [defaults]
  write("conf.d/b.toml", "= 1\n");
  const std::string found = errors();
  EXPECT_EQ(found.find("~/hanat.toml:1:10: this is not valid TOML"), 0U) << found;
  EXPECT_NE(found.find("\n~/conf.d/a.toml:4:1: unknown key \"colour\""), std::string::npos) << found;
  EXPECT_NE(found.find("\n~/conf.d/a.toml:5:10: listen must be"), std::string::npos) << found;
  EXPECT_NE(found.find("\n~/conf.d/b.toml:1:1: this is not valid TOML"), std::string::npos) << found;
  EXPECT_EQ(found.find("no primary"), std::string::npos) << found;
}

} // namespace
