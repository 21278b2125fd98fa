// Which of a setting's values is in force, what the file may hold, and what --help tells.
#include "settings/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "tests/fakes/places/places.hpp"

namespace cistern::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

// A program with two commands.
class Program {
 public:
  explicit Program(Variables environment = {}) : environment_(std::move(environment)) {
    run_ = app_.add_subcommand("run", "Runs");
    run_->add_option("--listen", listen, "Where")->envname("CISTERN_LISTEN")->capture_default_str();
    run_->add_option("--image", image, "What")->envname("CISTERN_IMAGE")->required();
    run_->add_option("--names", names, "Who")->envname("CISTERN_NAMES")->delimiter(',');
    run_->add_option("--count", count, "How many")->envname("CISTERN_COUNT");
    run_->add_flag("--force", force, "No setting");
    stop_ = app_.add_subcommand("stop", "Stops");
    stop_->add_option("--listen", listen, "Where")->envname("CISTERN_LISTEN");
    app_.require_subcommand(1);
  }

  std::optional<int> parse(std::vector<const char*> arguments) {
    settings_.emplace(app_, [this](const std::string& name) { return environment_.contains(name) ? environment_.at(name) : ""; });
    settings_->read_file((folder / "default.yaml").string());
    arguments.insert(arguments.begin(), "program");
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const auto ended = settings_->parse(static_cast<int>(arguments.size()), arguments.data());
    printed = testing::internal::GetCapturedStdout();
    errors = testing::internal::GetCapturedStderr();
    return ended;
  }
  // That it goes on.
  void expect(const std::vector<const char*>& arguments) { EXPECT_FALSE(parse(arguments)) << errors; }

  fakes::TemporaryFolder folder;
  std::string listen = "default";
  std::string image;
  std::vector<std::string> names;
  int count = 0;
  bool force = false;
  std::string printed;
  std::string errors;

 private:
  Variables environment_;
  CLI::App app_{"Does things"};
  CLI::App* run_;
  CLI::App* stop_;
  std::optional<Settings> settings_;
};

TEST(Precedence, the_default_is_last) {
  Program program;
  program.expect({"run", "--image", "i"});
  EXPECT_EQ(program.listen, "default");
  EXPECT_EQ(program.image, "i");
}

TEST(Precedence, a_file_comes_before_the_default) {
  Program program;
  program.folder.write("default.yaml", "listen: file\nimage: i\n");
  program.expect({"run"});
  EXPECT_EQ(program.listen, "file");
  EXPECT_EQ(program.image, "i") << "what is required may be in the file";
}

TEST(Precedence, the_environment_comes_before_the_file) {
  Program program(Variables{{"CISTERN_LISTEN", "environment"}});
  program.folder.write("default.yaml", "listen: file\nimage: i\n");
  program.expect({"run"});
  EXPECT_EQ(program.listen, "environment");
}

TEST(Precedence, the_command_line_comes_before_everything) {
  Program program(Variables{{"CISTERN_LISTEN", "environment"}, {"CISTERN_COUNT", "nonsense"}});
  program.folder.write("default.yaml", "listen: file\nimage: i\n");
  program.expect({"run", "--listen", "line", "--count=3"});
  EXPECT_EQ(program.listen, "line");
  EXPECT_EQ(program.count, 3);
}

TEST(Precedence, a_variable_that_is_empty_is_not_set) {
  Program program(Variables{{"CISTERN_LISTEN", ""}});
  program.folder.write("default.yaml", "listen: file\nimage: i\n");
  program.expect({"run"});
  EXPECT_EQ(program.listen, "file");
}

TEST(SettingsFile, a_commands_own_part_comes_before_what_is_for_all) {
  Program program;
  program.folder.write("default.yaml", "listen: all\nrun: {listen: own, image: i}\nstop: {listen: other}\n");
  program.expect({"run"});
  EXPECT_EQ(program.listen, "own");
}

TEST(SettingsFile, is_named_by_option_else_by_variable_else_it_is_the_default) {
  fakes::TemporaryFolder folder;
  const auto one = folder.write("one.yaml", "listen: one\nimage: i\n").string();
  const auto two = folder.write("two.yaml", "listen: two\nimage: i\n").string();
  Program by_variable(Variables{{"CISTERN_CONFIG", one}});
  by_variable.folder.write("default.yaml", "listen: default-file\n");
  by_variable.expect({"run"});
  EXPECT_EQ(by_variable.listen, "one");
  Program by_option(Variables{{"CISTERN_CONFIG", one}});
  by_option.expect({"run", "--config", two.c_str()});
  EXPECT_EQ(by_option.listen, "two");
  Program missing;
  EXPECT_EQ(missing.parse({"run", "--config", "/nonexistent/x.yaml"}), 2);
  EXPECT_EQ(missing.errors, "read the file of settings /nonexistent/x.yaml: No such file or directory\n");
}

TEST(SettingsFile, lists_are_for_settings_with_several_values) {
  Program program;
  program.folder.write("default.yaml", "image: i\nnames: [a, b]\ncount: 7\n");
  program.expect({"run"});
  EXPECT_THAT(program.names, ElementsAre("a", "b"));
  EXPECT_EQ(program.count, 7);
  Program with_commas;
  with_commas.folder.write("default.yaml", "image: i\nnames: a,b\n");
  with_commas.expect({"run"});
  EXPECT_THAT(with_commas.names, ElementsAre("a", "b"));
}

TEST(SettingsFile, everything_that_is_wrong_is_told_with_its_line) {
  Program program;
  const auto file =
      program.folder
          .write("default.yaml", "lisen: x\nimage: [a]\ncount:\nrun:\n  force: true\n  listn: x\nstop: 5\nhttp-password: x\nnames: [[a]]\n")
          .string();
  EXPECT_EQ(program.parse({"run"}), 2);
  EXPECT_EQ(program.errors,
            file + ":1: lisen: unknown setting; did you mean \"listen\"?\n" + file + ":2: image: must be one value, not a list\n" + file +
                ":3: count: has no value; leave it out, or write one\n" + file +
                ":5: run.force: unknown setting; known here are count, image, listen, names\n" + file +
                ":6: run.listn: unknown setting; did you mean \"listen\"?\n" + file +
                ":7: stop: must be a map of the settings of this command, not the number 5\n" + file +
                ":8: http-password: a secret is no setting; put it into a file, and have a policy refer to it by credentialsRef\n" + file +
                ":9: names: must be a list of values, and has a list in it\n");
}

TEST(SettingsFile, must_be_one_map) {
  for (const auto* text : {"- a\n", "a\n", "listen: a\n---\nlisten: b\n"}) {
    Program program;
    program.folder.write("default.yaml", text);
    EXPECT_EQ(program.parse({"run"}), 2);
    EXPECT_THAT(program.errors, HasSubstr("must be one map of settings")) << text;
  }
  Program empty;
  empty.folder.write("default.yaml", "# nothing\n");
  empty.expect({"run", "--image", "i"});
}

TEST(Values, that_do_not_fit_are_told_with_their_source) {
  Program by_variable(Variables{{"CISTERN_COUNT", "many"}});
  EXPECT_EQ(by_variable.parse({"run", "--image", "i"}), 2);
  EXPECT_THAT(by_variable.errors, testing::StartsWith("CISTERN_COUNT: "));
  Program by_file;
  const auto file = by_file.folder.write("default.yaml", "image: i\ncount: many\n").string();
  EXPECT_EQ(by_file.parse({"run"}), 2);
  EXPECT_THAT(by_file.errors, testing::StartsWith(file + ":2: "));
}

TEST(Values, that_are_required_and_missing_are_told_with_every_way_to_give_them) {
  Program program;
  EXPECT_EQ(program.parse({"run"}), 2);
  EXPECT_EQ(program.errors, "--image is required; it may be CISTERN_IMAGE in the environment, or image in a file of settings, too\n");
}

TEST(Help, shows_each_value_in_force_and_where_it_comes_from) {
  Program program(Variables{{"CISTERN_NAMES", "a,b"}});
  const auto file = program.folder.write("default.yaml", "run: {image: from-file}\n").string();
  EXPECT_EQ(program.parse({"run", "--count", "5", "--help"}), 0);
  for (const std::string line : {"= default, by default (CISTERN_LISTEN)", "= 5, by the command line (CISTERN_COUNT)",
                                 "= a,b, by CISTERN_NAMES", "not set (CISTERN_CONFIG)"}) {
    EXPECT_THAT(program.printed, HasSubstr(line));
  }
  EXPECT_THAT(program.printed, HasSubstr("= from-file, by " + file + ":1 (CISTERN_IMAGE)"));
}

TEST(Help, is_given_even_if_settings_are_wrong_or_missing) {
  Program program;
  program.folder.write("default.yaml", "wrong: x\n");
  EXPECT_EQ(program.parse({"run", "--help"}), 2);
  EXPECT_THAT(program.printed, HasSubstr("--listen"));
  EXPECT_THAT(program.errors, HasSubstr("default.yaml:1: wrong: unknown setting"));
}

struct Ended {
  int code;
  std::string output;
};

Ended run(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), got);
  return {WEXITSTATUS(::pclose(pipe)), output};
}

TEST(Programs, the_operators_commands_take_a_file_of_settings) {
  fakes::TemporaryFolder folder;
  folder.write("p.yaml",
               "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: a}\n"
               "spec: {go: {upstreams: [{url: \"https://a.example\"}]}, profiles: {dev: {}}}\n");
  const auto file =
      folder.write("settings.yaml", "policies: " + folder.path().string() + "/p.yaml\nenv: {profile: dev}\nlisten: 127.0.0.1:7070\n");
  const auto program = fakes::program("cistern-operator");
  const auto ended = run("CISTERN_CONFIG=" + file.string() + " " + program + " env --format dotenv");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("GOPROXY=http://127.0.0.1:7070/go/~dev/\n"));
  EXPECT_THAT(run("CISTERN_LISTEN=127.0.0.1:8080 " + program + " env --config " + file.string()).output,
              HasSubstr("'http://127.0.0.1:8080/go/~dev/'"));
  for (const auto* command : {"run", "node", "standalone", "uninstall", "render", "explain", "purge", "rewrite"}) {
    const auto help = run(program + " " + command + " --help --config " + file.string());
    EXPECT_EQ(help.code, 0) << help.output;
    EXPECT_THAT(help.output, HasSubstr("by the command line (CISTERN_CONFIG)")) << command;
  }
  EXPECT_THAT(run("CISTERN_NODE_NAME=n1 " + program + " node --help").output, HasSubstr("= n1, by CISTERN_NODE_NAME"));
}

TEST(Programs, the_agents_log_level_is_by_line_environment_or_its_file) {
  fakes::TemporaryFolder folder;
  const auto file = folder.write("agent.yaml", "server:\n  logLevel: warn\n").string();
  const auto program = fakes::program("cache-agent") + " serve --config " + file + " --help";
  EXPECT_THAT(run(program).output, HasSubstr("= warn, by " + file + ":2 (CISTERN_LOG_LEVEL)"));
  EXPECT_THAT(run("CISTERN_LOG_LEVEL=debug " + program).output, HasSubstr("= debug, by CISTERN_LOG_LEVEL"));
  EXPECT_THAT(run("CISTERN_LOG_LEVEL=debug " + program + " --log-level error").output, HasSubstr("= error, by the command line"));
  EXPECT_THAT(run(program).output, HasSubstr("= " + file + ", by the command line (CISTERN_CONFIG)"));
}

}  // namespace
}  // namespace cistern::settings
