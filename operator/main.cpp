// cistern-operator: subcommands and wiring. Settings: command line over environment (CISTERN_…) over file over default.
// Exit codes: 0 done, 1 it failed, 2 the command line or a policy is wrong.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "config/checks.hpp"
#include "operator/init/first_policy.hpp"
#include "operator/inspect/command.hpp"
#include "operator/model/parse.hpp"
#include "operator/model/schema.hpp"
#include "operator/node/command.hpp"
#include "operator/plan/explain.hpp"
#include "operator/plan/machine.hpp"
#include "operator/probe/command.hpp"
#include "operator/render/files.hpp"
#include "operator/render/runtime.hpp"
#include "operator/render/variables.hpp"
#include "operator/rewrite/command.hpp"
#include "operator/run/commands.hpp"
#include "operator/standalone/agent_http.hpp"
#include "operator/standalone/data_folder.hpp"
#include "operator/standalone/prepare.hpp"
#include "operator/standalone/run.hpp"
#include "settings/settings.hpp"

namespace {

namespace fs = std::filesystem;
using namespace cistern;

constexpr int kFailed = 1;
constexpr int kInvalidInput = 2;

struct Arguments {
  fs::path policies;
  fs::path data = "cistern-data";
  std::string listen = "127.0.0.1:5050";
  fs::path agent;
  fs::path output;
  bool force = false;
  plan::MachinePlace place;
  std::string env_format = "sh";
  std::string url;
  std::string timeout = "30s";
  std::string format = "text";
  std::vector<std::string> words;  // fields of explain, patterns of purge, the URL of check-health
};

int report(const Error& error) {
  fmt::print(stderr, "{}\n", error.message);
  return error.code == ErrorCode::kInvalid ? kInvalidInput : kFailed;
}

void print_remarks(const plan::MachinePlan& plan) {
  for (const auto& notice : plan.notices) fmt::print(stderr, "{}\n", notice.to_string());
  for (const auto& overridden : plan.overridden) fmt::print(stderr, "{}\n", overridden.to_string());
}

// The cache-agent beside this program.
fs::path default_agent() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path("cache-agent") : self.parent_path() / "cache-agent";
}

int standalone(const Arguments& arguments) {
  const standalone::Options options{fs::absolute(arguments.policies), arguments.data, arguments.listen,
                                    arguments.agent.empty() ? default_agent() : arguments.agent, arguments.place};
  const auto ended = standalone::run(options);
  return ended ? 0 : report(ended.error());
}

// Without a slash at its end.
Result<std::string> agents_url(const Arguments& arguments) {
  if (arguments.url.empty()) {
    const auto address = standalone::agent_address(arguments.listen);
    if (!address) return fail(address.error());
    return "http://" + address->listener;
  }
  const auto url = config::parse_url(arguments.url);
  if (!url) return fail(url.error().in("--url"));
  return fmt::format("{}://{}{}", url->scheme, url->authority(), url->path);
}

int env(const Arguments& arguments) {
  const auto format = render::variables_format(arguments.env_format);
  if (!format) return report(format.error().in("--format"));
  const auto prepared = standalone::preview(arguments.policies, arguments.listen, arguments.place);
  if (!prepared) return report(prepared.error());
  const auto& plan = prepared->plan;
  const auto base = agents_url(arguments);
  if (!base) return report(base.error());
  const auto text = render::to_text(render::machine_environment(plan, *base), *format);
  if (!text) return report(text.error());
  if (plan::go_of(plan) == nullptr) fmt::print(stderr, "policy {} serves no Go here: GOPROXY is not set\n", plan.policy);
  const bool marked = *format == render::VariablesFormat::kShell;
  fmt::print("{}{}{}", marked ? render::kMark : "", marked ? "\n" : "", *text);
  return 0;
}

int render_files(const Arguments& arguments) {
  const auto prepared = arguments.data.empty() ? standalone::preview(arguments.policies, arguments.listen, arguments.place)
                                               : standalone::prepare(arguments.policies, arguments.data, arguments.listen, arguments.place);
  if (!prepared) return report(prepared.error());
  print_remarks(prepared->plan);
  for (const auto& [name, content] : prepared->files) {
    if (arguments.output.empty()) {
      fmt::print("==> {}\n{}\n", name, content);
      continue;
    }
    const fs::path file = arguments.output / name;
    std::error_code error;
    fs::create_directories(file.parent_path(), error);
    if (error) return report(system_error(error.value(), "make " + file.parent_path().string()));
    if (auto written = standalone::write_atomically(file, content); !written) return report(written.error());
  }
  return 0;
}

int print_values(const plan::MachinePlan& plan, const std::vector<plan::Explanation>& values, const std::string& format) {
  if (format == "json") {
    yaml::Json list = yaml::Json::array();
    for (const auto& value : values)
      list.push_back({{"path", value.path}, {"value", yaml::Json::parse(value.value)}, {"origin", value.origin}});
    fmt::print("{}\n", yaml::Json{{"policy", plan.policy}, {"settings", std::move(list)}}.dump(2));
  } else {
    fmt::print("policy {}\n", plan.policy);
    for (const auto& value : values) fmt::print("{} = {}  # {}\n", value.path, value.value, value.origin);
  }
  print_remarks(plan);
  return 0;
}

// Of files; a cluster is explained by operator/inspect.
int explain(const Arguments& arguments) {
  if (arguments.policies.empty()) {
    return report({ErrorCode::kInvalid, "say what to explain: node NAME, namespace NAME or pod NAME of a cluster, or files by --policies",
                   std::nullopt});
  }
  const auto policies = model::load_policies(arguments.policies);
  if (!policies) return report(policies.error());
  const auto plan = plan::plan_machine(*policies, arguments.place);
  if (!plan) return report(plan.error());
  const auto values = plan::explain(plan->effective, arguments.words);
  if (values.empty()) return report({ErrorCode::kInvalid, "no such field; `explain` without fields lists all", std::nullopt});
  return print_values(*plan, values, arguments.format);
}

int init(const Arguments& arguments) {
  init::Facts facts;
  init::gather_go(facts);
  facts.registries = init::gather_registries("/");
  const auto policy = init::first_policy(facts);
  for (const auto& note : policy.notes) fmt::print(stderr, "note: {}\n", note);
  if (arguments.output.empty()) {
    fmt::print("{}", policy.yaml);
    return 0;
  }
  std::error_code error;
  if (fs::exists(arguments.output, error) && !arguments.force) {
    return report(
        {ErrorCode::kUnavailable, fmt::format("{} is there already; --force overwrites it", arguments.output.string()), std::nullopt});
  }
  if (arguments.output.has_parent_path()) fs::create_directories(arguments.output.parent_path(), error);
  if (auto written = standalone::write_atomically(arguments.output, policy.yaml); !written) return report(written.error());
  fmt::print("wrote {}\n", arguments.output.string());
  return 0;
}

int purge(const Arguments& arguments) {
  const auto address = standalone::agent_address(arguments.listen);
  if (!address) return report(address.error());
  standalone::AgentHttp http;
  for (const auto& pattern : arguments.words) {
    const auto answer = http.post(fmt::format("http://{}/purge?pattern={}", address->admin, percent_encode(pattern)));
    if (!answer) return report(answer.error());
    fmt::print("{}: {}{}", pattern, *answer, answer->ends_with('\n') ? "" : "\n");
  }
  return 0;
}

int print_crd(const Arguments&) {
  fmt::print("{}", model::custom_resource_definition_yaml());
  return 0;
}

// For `helm test`: the image has no other client.
int check_health(const Arguments& arguments) {
  const auto limit = parse_duration(arguments.timeout);
  if (!limit) return report(limit.error());
  const auto end = std::chrono::steady_clock::now() + *limit;
  standalone::AgentHttp http;
  while (true) {
    const auto answer = http.get(arguments.words.front());
    if (answer) {
      fmt::print("{}: {}\n", arguments.words.front(), *answer);
      return 0;
    }
    if (std::chrono::steady_clock::now() >= end) return report(answer.error());
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

struct Command {
  CLI::App* app;
  int (*run)(const Arguments&);
};

std::vector<Command> add_commands(CLI::App& app, Arguments& arguments) {
  const auto add = [&](const char* name, const char* description) { return app.add_subcommand(name, description); };
  const auto policies = [&](CLI::App* command) {
    command->add_option("--policies", arguments.policies, "Folder of MirrorPolicies (*.yaml, *.yml, *.json), or one such file")
        ->envname("CISTERN_POLICIES")
        ->required();
  };
  const auto listen = [&](CLI::App* command) {
    command->add_option("--listen", arguments.listen, "The agent's HOST:PORT; the next port on loopback is for its numbers")
        ->envname("CISTERN_LISTEN")
        ->capture_default_str();
  };
  const auto place = [&](CLI::App* command) {
    command->add_option("--region", arguments.place.region, "As in this region; default: the policy's region.default")
        ->envname("CISTERN_REGION");
    command->add_option("--profile", arguments.place.profile, "With this profile; default: the policy's profile.default")
        ->envname("CISTERN_PROFILE");
  };

  CLI::App* run = add("standalone", "Serve what the policies say on this machine, without a cluster");
  policies(run);
  run->add_option("--data", arguments.data, "Folder for the cache, env.sh, certs.d and credentials/")
      ->envname("CISTERN_DATA")
      ->capture_default_str();
  listen(run);
  run->add_option("--agent", arguments.agent, "The cache-agent program; default: the one beside this program")->envname("CISTERN_AGENT");
  place(run);

  CLI::App* first = add("init", "Write the first policy from what this machine uses now");
  first->add_option("-o,--output", arguments.output, "File to write; default: print it");
  first->add_flag("--force", arguments.force, "Overwrite the file");

  CLI::App* exports = add("env", "Print the go command's environment, for a shell or a CI system");
  policies(exports);
  listen(exports);
  place(exports);
  exports->add_option("--url", arguments.url, "Of the agents, as they are reached from where this is used; default: http://, and --listen")
      ->envname("CISTERN_URL");
  exports->add_option("--format", arguments.env_format, "sh, dotenv, github (for $GITHUB_ENV), gitlab (a dotenv report) or json")
      ->capture_default_str();

  CLI::App* files = add("render", "Print every file that standalone would write");
  policies(files);
  listen(files);
  files->add_option("--data", arguments.data, "Check with the credentials in this data folder")->envname("CISTERN_DATA");
  place(files);
  files->add_option("-o,--output", arguments.output, "Write them below this folder instead");

  CLI::App* why =
      add("explain",
          "Print each effective value and where it came from: `explain node NAME`, `explain namespace NAME` and `explain pod NAME` of a "
          "cluster, with what is in force and why a cache is not used; or of files, with --policies");
  why->add_option("--policies", arguments.policies, "Explain these files instead: a folder of MirrorPolicies, or one such file")
      ->envname("CISTERN_POLICIES");
  place(why);
  why->add_option("words", arguments.words, "node NAME, namespace NAME or pod [NAMESPACE/]NAME; then only these fields, as in go.sumDB")
      ->type_name("[KIND NAME] [FIELD]...");

  CLI::App* drop = add("purge", "Drop objects from the running agent's cache");
  listen(drop);
  drop->add_option("patterns", arguments.words, "Patterns of keys, as the agent's log shows them")->required();

  CLI::App* crd = add("crd", "Print the CustomResourceDefinition of MirrorPolicy");

  CLI::App* health = add("check-health", "Ask a URL until it answers 200, as /readyz of a ready program does");
  health->add_option("url", arguments.words, "The URL")->required()->expected(1);
  health->add_option("--timeout", arguments.timeout, "How long to go on asking")->capture_default_str();

  return {{run, standalone}, {first, init}, {exports, env},   {files, render_files},
          {why, explain},    {drop, purge}, {crd, print_crd}, {health, check_health}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Cistern's operator: makes caches of Go modules and container images follow MirrorPolicies.", "cistern-operator");
  app.set_version_flag("--version", CISTERN_VERSION);
  app.require_subcommand(1);
  Arguments arguments;
  const auto commands = add_commands(app, arguments);
  run::Commands cluster_commands(app);
  node::Command node_command(app);
  const probe::Command probe_command(app);
  inspect::Command inspect_command(app, *app.get_subcommand("explain"), arguments.words, arguments.format);
  rewrite::Command rewrite_command(app);
  settings::Settings settings(app);
  settings.read_file("/etc/cistern/operator.yaml");
  if (const auto ended = settings.parse(argc, argv)) return *ended;
  const bool on_node = node_command.parsed();
  const auto& log_level = on_node ? node_command.log_level() : cluster_commands.log_level();
  if (auto logging = set_up_logging(on_node ? "cistern-node" : "cistern-operator", log_level); !logging) return report(logging.error());
  if (on_node) {
    const auto done = node_command.execute();
    return done ? 0 : report(done.error());
  }
  if (rewrite_command.parsed()) {
    const auto found = rewrite_command.execute();
    return found ? *found ? kFailed : 0 : report(found.error());
  }
  if (const auto done = cluster_commands.execute()) return *done ? 0 : report(done->error());
  if (const auto code = probe_command.execute()) return *code ? **code : report(code->error());
  if (const auto code = inspect_command.execute()) return *code ? **code : report(code->error());
  for (const auto& command : commands) {
    if (!command.app->parsed()) continue;
    // Only `standalone` has a data folder by default; `render` looks into one if it is told to.
    if (command.run == render_files && command.app->count("--data") == 0) arguments.data.clear();
    return command.run(arguments);
  }
  return kInvalidInput;
}
