// The control socket as a client sees it: calls, errors, framing, limits. Not here: permissions and deadlines (the server_test of netns).
#include "daemon/control/server.hpp"

#include <future>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gmock/gmock.h>

#include "daemon/api/client.hpp"
#include "tests/unit/daemon/served.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using test::RawClient;
using test::Served;
using testing::HasSubstr;

constexpr const char* status_call = R"({"method": "io.hanat.Control.Status"})";

std::string error_of(const std::string& message) { return json::parse(message).value("error", ""); }

TEST(ControlSocket, CarriesACallAndItsReply) {
  const Served served;
  const auto reply = call(served.path(), "Status", {{"service", "web"}});
  EXPECT_EQ(reply["method"], "Status");
  EXPECT_EQ(reply["parameters"], (json{{"service", "web"}}));
}

TEST(ControlSocket, CarriesTheHandlersErrors) {
  const Served served{[](const Call& call) -> json {
    if (call.method == "Status") throw ControlError{"UnknownService", "no service wbe", {{"services", {"web"}}}};
    throw std::runtime_error("boom");
  }};
  try {
    call(served.path(), "Status");
    FAIL();
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.name, "UnknownService");
    EXPECT_STREQ(refusal.what(), "no service wbe");
    EXPECT_EQ(refusal.parameters["services"], json::array({"web"}));
  }
  try {
    call(served.path(), "Version");
    FAIL();
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.name, "Failed");
    EXPECT_THAT(refusal.what(), HasSubstr("boom"));
  }
}

template <typename R>
concept TakesBraces = requires(std::string text) {
  R{{"version", text}};
};
template <typename R>
concept ReturnsBraces = requires(R (*handler)(R), std::string text) {
  handler({{"version", text}});
};

TEST(ControlSocket, RepliesWithAnObjectOrAnError) {
  static_assert(!TakesBraces<Reply> && !ReturnsBraces<Reply>, "a pair in braces would be an array");
  EXPECT_EQ(Reply(json{{"version", "1"}}).parameters, json::parse(R"({"version": "1"})"));
  for (const json& wrong : {json::array({"version", "1"}), json("text"), json(1), json()}) {
    EXPECT_THROW((void)Reply(wrong), std::logic_error) << wrong;
    EXPECT_THROW((void)Reply(wrong, "list", [] { return std::nullopt; }), std::logic_error) << wrong;
    const Served served{[&](const Call&) { return wrong; }};
    RawClient client{served.path()};
    client.say(status_call);
    const json message = json::parse(client.hear());
    EXPECT_EQ(message.value("error", ""), "io.hanat.Control.Failed") << message;
    EXPECT_THAT(message.at("parameters").at("message").get<std::string>(), HasSubstr("a reply is an object, not ")) << message;
  }
}

TEST(ControlSocket, ImplementsVarlinksOwnMethods) {
  const Served served;
  RawClient client{served.path()};
  client.say(R"({"method": "org.varlink.service.GetInfo"})");
  const auto info = json::parse(client.hear())["parameters"];
  EXPECT_EQ(info["product"], "hanatd");
  EXPECT_EQ(info["interfaces"], json::array({"org.varlink.service", "io.hanat.Control"}));
  for (const auto* interface : {"org.varlink.service", "io.hanat.Control"}) {
    client.say(json{{"method", "org.varlink.service.GetInterfaceDescription"}, {"parameters", {{"interface", interface}}}}.dump());
    EXPECT_THAT(json::parse(client.hear())["parameters"]["description"].get<std::string>(),
                HasSubstr(std::string("interface ") + interface));
  }
  client.say(R"({"method": "org.varlink.service.GetInterfaceDescription", "parameters": {"interface": "a.b"}})");
  EXPECT_EQ(error_of(client.hear()), "org.varlink.service.InterfaceNotFound");
  client.say(R"({"method": "org.varlink.service.GetInterfaceDescription"})");
  EXPECT_EQ(error_of(client.hear()), "org.varlink.service.InvalidParameter");
  client.say(R"({"method": "io.hanat.Control.Explode"})");
  EXPECT_EQ(error_of(client.hear()), "org.varlink.service.MethodNotFound");
  client.say(R"({"method": "org.varlink.service.Explode"})");
  EXPECT_EQ(error_of(client.hear()), "org.varlink.service.MethodNotFound");
  client.say(R"({"method": "io.elsewhere.Status"})");
  EXPECT_EQ(error_of(client.hear()), "org.varlink.service.InterfaceNotFound");
  client.say(R"({"method": "io.hanat.Control.Status", "upgrade": true})");
  EXPECT_EQ(error_of(client.hear()), "org.varlink.service.InvalidParameter");
}

TEST(ControlSocket, ChecksParametersBeforeTheHandlerSeesThem) {
  const Served served;
  RawClient client{served.path()};
  client.say(R"({"method": "io.hanat.Control.Status", "parameters": {"service": 7}})");
  const auto reply = json::parse(client.hear());
  EXPECT_EQ(reply["error"], "io.hanat.Control.InvalidParameter");
  EXPECT_EQ(reply["parameters"]["parameter"], "service");
}

TEST(ControlSocket, GivesNoReplyToAOnewayCallNotEvenAnError) {
  const Served served;
  RawClient client{served.path()};
  client.say(R"({"method": "io.hanat.Control.Status", "oneway": true})");
  client.say(R"({"method": "io.hanat.Control.Explode", "oneway": true})");
  client.say(R"({"method": "io.hanat.Control.Version", "more": true})");
  EXPECT_EQ(json::parse(client.hear())["parameters"]["method"], "Version");
}

TEST(ControlSocket, RepliesToPipelinedCallsInOrder) {
  const Served served;
  RawClient client{served.path()};
  std::string calls;
  for (int i = 0; i < 100; ++i)
    calls += R"({"method": "io.hanat.Control.Status", "parameters": {"service": ")" + std::to_string(i) + "\"}}" + '\0';
  ASSERT_TRUE(client.send(calls));
  ASSERT_EQ(shutdown(client.fd(), SHUT_WR), 0); // the replies still arrive
  for (int i = 0; i < 100; ++i) ASSERT_EQ(json::parse(client.hear())["parameters"]["parameters"]["service"], std::to_string(i));
  EXPECT_EQ(client.hear(), "");
}

TEST(ControlSocket, ReadsACallByteByByte) {
  const Served served;
  RawClient client{served.path()};
  for (const char c : std::string(status_call) + '\0') ASSERT_TRUE(client.send({&c, 1}));
  EXPECT_EQ(json::parse(client.hear())["parameters"]["method"], "Status");
}

TEST(ControlSocket, ClosesAClientThatSendsNonsense) {
  const Served served;
  for (const auto& nonsense : {std::string("status\r\n\0", 9), std::string("\0", 1), std::string("\xff\xfe\0", 3),
                               std::string("\x1b[2J\0", 5), std::string("{}\0", 3), std::string("[[[[\0", 5)}) {
    RawClient client{served.path()};
    client.send(nonsense);
    EXPECT_EQ(error_of(client.hear()), "io.hanat.Control.InvalidParameter");
    EXPECT_EQ(client.hear(), "");
  }
  EXPECT_NO_THROW(call(served.path(), "Status"));
}

TEST(ControlSocket, ClosesAClientWhoseMessageIsTooLong) {
  const Served served;
  RawClient client{served.path()};
  const std::string piece(65536, 'x');
  int sent = 0;
  while (sent < 16'384 && client.send(piece)) ++sent; // a gigabyte, if nothing stopped it
  EXPECT_LT(sent, 64);
  EXPECT_EQ(error_of(client.hear()), "io.hanat.Control.InvalidParameter");
  EXPECT_EQ(client.hear(), "");
}

TEST(ControlSocket, ReadsAMessageOfExactlyTheLimit) {
  const Served served;
  RawClient client{served.path()};
  std::string text = R"({"method": "io.hanat.Control.Status", "parameters": {"service": ")";
  text += std::string(65536 - text.size() - 3, 'x') + "\"}}";
  ASSERT_EQ(text.size(), 65536U);
  client.say(text);
  EXPECT_EQ(json::parse(client.hear())["parameters"]["method"], "Status");
}

TEST(ControlSocket, SendsAReplyOfMegabytes) {
  const Served served{[](const Call&) { return json{{"text", std::string(2'000'000, 'x')}}; }};
  EXPECT_EQ(call(served.path(), "Status")["text"].get_ref<const std::string&>().size(), 2'000'000U);
}

TEST(ControlSocket, SurvivesClientsThatDisconnectInTheMiddle) {
  const Served served{[](const Call&) { return json{{"text", std::string(300'000, 'x')}}; }};
  for (int i = 0; i < 20; ++i) {
    RawClient client{served.path()};
    client.say(status_call);
    if (i % 2 == 0) client.hear(std::chrono::milliseconds{1});
  }
  RawClient half{served.path()};
  half.send("{\"meth");
  half.close();
  EXPECT_NO_THROW(call(served.path(), "Status"));
}

TEST(ControlSocket, RefusesTheThirtyThirdClient) {
  const Served served;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 32; ++i) {
    clients.push_back(std::make_unique<RawClient>(served.path()));
    if (geteuid() != 0 && i >= 28) continue;
    clients.back()->say(status_call);
    ASSERT_THAT(clients.back()->hear(), HasSubstr("Status")) << i;
  }
  try {
    call(served.path(), "Status");
    FAIL();
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.name, "Failed");
    EXPECT_THAT(refusal.what(), HasSubstr("clients are connected"));
  }
  clients.erase(clients.begin());
  if (geteuid() != 0) return;
  const auto accepted = [&] { // once the loop has seen that one left
    try {
      call(served.path(), "Status");
      return true;
    } catch (const Refusal&) {
      return false;
    }
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (!accepted()) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST(ControlSocket, ClosesDescriptorsThatAClientSendsAlong) {
  const Served served;
  RawClient client{served.path()};
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const Fd reading{pipe_ends[0]};
  Fd writing{pipe_ends[1]};

  std::string text = std::string(status_call) + '\0';
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int sent = writing.get();
  std::copy_n(reinterpret_cast<const unsigned char*>(&sent), sizeof sent, CMSG_DATA(header));
  ASSERT_GT(sendmsg(client.fd(), &message, 0), 0);
  EXPECT_THAT(client.hear(), HasSubstr("Status"));

  writing.reset();
  char byte = 0;
  EXPECT_EQ(fcntl(reading.get(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(::read(reading.get(), &byte, 1), 0) << "a writing end is still open somewhere: " << std::strerror(errno);
}

TEST(ControlSocket, AClientThatReadsAByteAtATimeDoesNotKeepItsPlace) {
  const Served served{[](const Call&) -> json {
                        return {{"text", std::string(std::size_t{4} << 20, 'x')}};
                      },
                      {},
                      std::chrono::milliseconds{300}};
  RawClient client{served.path()};
  ASSERT_TRUE(client.say(status_call));
  char byte = 0;
  const auto begin = std::chrono::steady_clock::now();
  std::size_t received = 0;
  while (recv(client.fd(), &byte, 1, 0) == 1) { // what the socket holds still comes after the end
    if (++received < 1'000) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  EXPECT_LT(received, std::size_t{4} << 20) << "it was closed before all of it was sent";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{5});
}

TEST(ControlSocket, HasItsModeWhateverTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{0077}, mode_t{0777}}) {
    const test::TempDir dir; // made first: without root a folder of mode 0 is closed to its owner too
    const mode_t before = umask(mask);
    const ListeningSocket socket{dir / "s", std::nullopt};
    umask(before);
    struct stat info {};
    ASSERT_EQ(stat((dir / "s").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0660U);
  }
}

TEST(ControlSocket, OfALiveDaemonIsNotReplaced) {
  const Served served;
  try {
    const ListeningSocket second{served.path(), std::nullopt};
    FAIL() << "replaced";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_THAT(error.what(), HasSubstr("another daemon answers"));
  }
  EXPECT_NO_THROW(call(served.path(), "Status"));
}

TEST(ControlSocket, OfADeadDaemonIsReplaced) {
  const test::TempDir dir;
  {
    const Fd dead{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto address = unix_address(dir / "s");
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  EXPECT_THROW(call(dir / "s", "Status"), NoDaemon);
  EXPECT_NO_THROW((ListeningSocket{dir / "s", std::nullopt}));
  EXPECT_FALSE(std::filesystem::exists(dir / "s"));
}

TEST(ControlSocket, DoesNotReplaceAFileThatIsNoSocket) {
  const test::TempDir dir;
  test::write_text(dir / "s", "precious");
  EXPECT_THROW((ListeningSocket{dir / "s", std::nullopt}), std::system_error);
  EXPECT_EQ(test::read_text(dir / "s"), "precious");
  EXPECT_THROW((ListeningSocket{(dir.path() / std::string(200, 'x')).string(), std::nullopt}), std::system_error);
}

TEST(ControlSocket, ThatAnotherProcessHasCreatedSinceIsKept) {
  const test::TempDir dir;
  auto first = std::make_unique<ListeningSocket>(dir / "s", std::nullopt);
  std::filesystem::remove(dir / "s");
  const ListeningSocket second{dir / "s", std::nullopt};
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(dir / "s"));
}

TEST(Client, SaysWhyNoDaemonReplies) {
  const test::TempDir dir;
  const auto error_text = [](const std::string& path) {
    try {
      call(path, "Status", json::object(), std::chrono::milliseconds{100});
    } catch (const NoDaemon& error) {
      return std::string{error.what()};
    }
    return std::string{};
  };
  EXPECT_THAT(error_text(dir / "s"), HasSubstr("not running"));
  test::write_text(dir / "file", "");
  EXPECT_THAT(error_text(dir / "file"), HasSubstr("left its socket"));
  const ListeningSocket silent{dir / "silent", std::nullopt};
  EXPECT_THAT(error_text(dir / "silent"), HasSubstr("did not answer within 0.1 s"));
}

TEST(Client, StopsWaitingWhenItIsCancelled) {
  const test::TempDir dir;
  const ListeningSocket silent{dir / "silent", std::nullopt};
  const Fd cancelled{eventfd(1, EFD_CLOEXEC)};
  const auto began = std::chrono::steady_clock::now();
  EXPECT_THROW(call(dir / "silent", "Status", json::object(), std::chrono::minutes{1}, cancelled.get()), NoDaemon);
  EXPECT_THROW(call_more(
                   dir / "silent", "Follow", json::object(), [](const json&) { return true; }, std::chrono::minutes{1}, cancelled.get()),
               NoDaemon);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds{30});
}

/// What a client says of a server that sends these bytes.
std::string client_error(const std::string& bytes) {
  const test::TempDir dir;
  const ListeningSocket listener{dir / "s", std::nullopt};
  std::thread server([&] {
    pollfd waiting{.fd = listener.fd(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, 3000);
    const Fd client{accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC)};
    char buffer[4096];
    recv(client.get(), buffer, sizeof buffer, 0);
    ::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  });
  std::string what;
  try {
    call(dir / "s", "Status");
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  server.join();
  return what;
}

TEST(Client, RejectsAServerThatIsNotHanatd) {
  EXPECT_THAT(client_error(""), HasSubstr("closed the connection without a reply"));
  EXPECT_THAT(client_error("{\"half\":"), HasSubstr("closed the connection"));
  EXPECT_THAT(client_error(std::string("hello\0", 6)), HasSubstr("does not speak JSON"));
  EXPECT_THAT(client_error(std::string("[]\0", 3)), HasSubstr("does not speak varlink"));
  EXPECT_THAT(client_error(std::string(100'000, '[') + '\0'), HasSubstr("does not speak JSON"));
  EXPECT_THAT(client_error(std::string(R"({"error": "org.varlink.service.MethodNotFound", "parameters": {"method": "X"}})") + '\0'),
              HasSubstr("different versions"));
  EXPECT_THAT(client_error(std::string(R"({"error": 7, "parameters": 8})") + '\0'), HasSubstr("hanatd replied 7"));
}

} // namespace
} // namespace hanat
