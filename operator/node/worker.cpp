#include "operator/node/worker.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <thread>

#include "operator/node/storage.hpp"

namespace cistern::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLookAgain{200};  // between two probes
constexpr std::size_t kMostRepairs = 5;  // in …
constexpr seconds kRepairWindow{60};     // … this time; then somebody else insists, and a fight helps nobody
constexpr std::size_t kMostNamed = 8;

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMostNamed; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMostNamed) text += fmt::format(" and {} more", names.size() - kMostNamed);
  return text;
}

std::string hash_in(const std::string& config) {
  const auto parsed = config.empty() ? Result<Config>(fail(ErrorCode::kNotFound, "")) : parse_config(config);
  return parsed ? parsed->hash : "";
}

void append(std::string& message, const std::string& more) {
  if (!more.empty()) message += (message.empty() ? "" : "; ") + more;
}

bool is_drop_in(const std::string& path) { return path.find("registries.conf.d/") != std::string::npos; }

}  // namespace

Worker::Worker(Keeper& keeper, Host& host, const Clock& clock, Announce announce, WorkerSettings settings)
    : keeper_(keeper), host_(host), clock_(clock), announce_(std::move(announce)), settings_(std::move(settings)) {}

SteadyTime Worker::later(milliseconds pause) {
  const auto quarter = pause.count() / 4;
  return clock_.steady() + pause + milliseconds(std::uniform_int_distribution<long>(-quarter, quarter)(random_));
}

void Worker::rest(milliseconds& pause) {
  pause = std::clamp(pause * 2, settings_.first_rest, settings_.longest_rest);
  rests_until_ = later(pause);
}

Situation Worker::look(const View& view) {
  Situation situation;
  situation.uninstall_known = view.uninstall_known;
  situation.uninstalling = view.uninstalling;
  situation.node_known = view.node_known;
  situation.group = view.group;
  situation.config_known = view.config_known;
  situation.granted = view.granted;
  const bool missing = view.config_known && !view.config;
  if (!missing) missing_since_.reset();
  if (missing && !missing_since_) missing_since_ = clock_.steady();
  situation.config_missing_long = missing && clock_.steady() - *missing_since_ >= settings_.missing_grace;
  config_.reset();
  detection_ = {};
  if (!view.facts.runtime.empty()) detection_.runtime = view.facts.runtime;
  if (view.config) {
    auto parsed = parse_config(*view.config);
    if (parsed && parsed->group != view.group) parsed = fail(ErrorCode::kInvalid, "{}: it is of group {}", kConfigKey, parsed->group);
    if (!parsed) situation.config_problem = parsed.error().message;
    if (parsed) config_ = std::move(*parsed);
  }
  if (config_) {
    situation.config = config_;
    detection_ = detect(settings_.root, view.facts, *config_, settings_.containerd_config);
    if (detection_.blocked()) situation.blocked = detection_.summary();
    if (tried_ != config_->hash) {
      tried_ = config_->hash;
      failures_ = 0;
      failure_.clear();
      pause_ = milliseconds(0);
      rests_until_ = {};
    }
  }
  situation.applied = hash_in(keeper_.ledger().config);
  situation.has_something = !keeper_.holds_nothing() || !keeper_.ledger().config.empty();
  const auto drift = keeper_.look();
  situation.drifted = std::ranges::any_of(drift, [](const Drift& found) { return found.kind != Drift::Kind::kUnmanaged; });
  situation.resting = clock_.steady() < rests_until_;
  return situation;
}

Report Worker::round(const View& view) {
  const auto situation = look(view);
  const auto decision = decide(situation);
  Report report;
  report.next = later(settings_.check);
  report.group = view.group;
  report.runtime = detection_.runtime;
  if (config_) report.config_hash = config_->hash;
  report.state = decision.state;
  report.message = decision.message;
  if (missing_since_ && !situation.config_missing_long) report.next = *missing_since_ + settings_.missing_grace;
  act(decision, report);
  if (config_) {
    for (const auto& registry : config_->registries) {
      if (registry.strict && !detection_.may_be_strict(registry.name)) report.kept_in_fallback.push_back(registry.name);
    }
  }
  if (config_ && !detection_.blocked()) append(report.message, detection_.summary());
  look_after_storage(situation, report);
  report_drift(report);
  const auto applied = hash_in(keeper_.ledger().config);
  if (!applied.empty()) report.applied_hash = applied;
  report.failures = failures_;
  report.repairs = keeper_.ledger().repairs;
  report.busy = decision.action == Action::kApply && report.applied_hash != report.config_hash;
  if (const auto said = report.state + report.message; said != said_state_) {
    said_state_ = said;
    spdlog::info("state={} group=\"{}\" config={} applied={} message=\"{}\"", report.state, report.group, report.config_hash,
                 report.applied_hash, report.message);
  }
  return report;
}

void Worker::act(const Decision& decision, Report& report) {
  switch (decision.action) {
    case Action::kKeep: break;
    case Action::kRepair: repair(report); break;
    case Action::kRestore:
      restore(decision.message, report);
      if (decision.state != "Reported") break;
      [[fallthrough]];
    case Action::kReport: {
      if (detection_.blocked() || !config_) break;
      const auto layout = lay_out(settings_.root, *config_, detection_, keeper_);
      std::vector<std::string> paths;
      if (layout.config_edit) paths.push_back(layout.config_edit->path);
      for (const auto& file : layout.files) paths.push_back(file.path);
      append(report.message, paths.empty() ? "would write nothing" : "would write " + listed(paths));
      for (const auto& finding : layout.findings) append(report.message, finding.message);
      break;
    }
    case Action::kApply: wait_for_agent(*config_, report); break;
  }
  if (report.state == "Failed") {
    append(report.message, failure_);
    report.next = std::min(report.next, rests_until_);
  }
}

// A change that the agent's absence would take back at once is not begun.
void Worker::wait_for_agent(const Config& config, Report& report) {
  if (const auto answers = host_.probe(config.mirror); !answers) {
    report.state = "Waiting";
    report.message = fmt::format("waits for this node's agent: {}", answers.error().message);
    report.next = std::min(report.next, later(std::min(settings_.first_rest, settings_.longest_rest)));
    return;
  }
  if (auto applied = apply(config, report); !applied) failed(applied.error(), report);
}

Result<Change> Worker::changed(Result<Change> change) {
  if (!change) return change;
  auto paths = change->written;
  paths.insert(paths.end(), change->restored.begin(), change->restored.end());
  for (const auto& left : change->left) spdlog::warn("left as it is: {}", left);
  if (!change->written.empty()) spdlog::info("written: {}", listed(change->written));
  if (!change->restored.empty()) spdlog::info("put back as before: {}", listed(change->restored));
  if (std::ranges::any_of(paths, is_drop_in)) {
    if (const auto told = host_.reload_crio(); !told) {
      spdlog::warn("CRI-O was not told of its new files: {}", told.error().message);
      announce_(true, "ReloadFailed", "Reload", told.error().message);
    }
  }
  return change;
}

Result<void> Worker::apply(const Config& config, Report& report) {
  if (auto prepared = prepare_storage(settings_.root, config.storage_path); prepared) {
    if (auto remembered = keeper_.remember_storage(config.storage_path, config.keep_storage); !remembered) return remembered;
  } else if (prepared.error().code != ErrorCode::kUnavailable) {
    return prepared;
  }
  auto layout = lay_out(settings_.root, config, detection_, keeper_);
  if (layout.config_edit) {
    if (auto changed_it = change_containerd(*layout.config_edit); !changed_it) return changed_it;
    layout.files.insert(layout.files.begin(), *layout.config_edit);
  }
  if (auto switched = switch_files(layout, config); !switched) return switched;
  ++counters_.applies;
  failures_ = 0;
  failure_.clear();
  for (const auto& finding : layout.findings) append(report.message, finding.message);
  announce_(false, "RuntimeConfigured", "Apply",
            fmt::format("{} asks {} first for {} registries (configuration {})", detection_.runtime, config.mirror,
                        config.registries.size(), config.hash));
  return {};
}

// containerd reads its own file as it starts only. If it does not start with ours, it gets back the one with which it did.
Result<void> Worker::change_containerd(const DesiredFile& edit) {
  const Ledger before = keeper_.ledger();
  if (before.files.contains(edit.path)) return {};
  std::vector<DesiredFile> files = {edit};
  for (const auto& [path, file] : before.files) files.push_back({path, file.content, file.fallback, file.once});
  if (auto written = changed(keeper_.apply(files, Form::kFull, before.config)); !written) return fail(written.error());
  auto restarted = host_.restart_containerd();
  if (restarted) {
    announce_(false, "ContainerdRestarted", "Restart", fmt::format("config_path was set in {}", edit.path));
    return {};
  }
  if (auto back = put_back(before); !back) return fail(back.error().in(restarted.error().message));
  if (auto again = host_.restart_containerd(); !again) spdlog::error("containerd was not restarted: {}", again.error().message);
  return fail(restarted.error().in("containerd's configuration was put back"));
}

Result<void> Worker::put_back(const Ledger& before) {
  std::vector<DesiredFile> files;
  for (const auto& [path, file] : before.files) files.push_back({path, file.content, file.fallback, file.once});
  auto back = changed(keeper_.apply(files, Form::kFull, before.config));
  return back ? Result<void>() : fail(back.error());
}

Result<void> Worker::switch_files(const Layout& layout, const Config& config) {
  const Ledger before = keeper_.ledger();
  const auto text = to_text(config);
  const bool strict = std::ranges::any_of(layout.files, [](const auto& file) { return file.content != file.fallback; });
  // Strict files come only after the agent has been seen to answer with the others in force; until then the node counts as not configured.
  auto written = changed(keeper_.apply(layout.files, strict ? Form::kFallback : Form::kFull, strict ? before.config : text));
  if (!written) return fail(written.error());
  std::string problem;
  if (!probe_for(settings_.agent_patience, config.mirror, problem)) {
    if (auto back = put_back(before); !back) return fail(back.error().in(problem));
    return fail(ErrorCode::kUnavailable, "the agent stopped answering, the node's files are as before: {}", problem);
  }
  if (!strict) return {};
  written = changed(keeper_.apply(layout.files, Form::kFull, text));
  return written ? Result<void>() : fail(written.error());
}

bool Worker::probe_for(milliseconds patience, const std::string& mirror, std::string& problem) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (true) {
    const auto answers = host_.probe(mirror);
    if (answers) return true;
    problem = answers.error().message;
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kLookAgain);
  }
}

void Worker::failed(const Error& error, Report& report) {
  ++failures_;
  ++counters_.apply_failures;
  failure_ = error.message;
  rest(pause_);
  report.state = "Failed";
  spdlog::error("this node could not be configured failures={} reason=\"{}\"", failures_, error.message);
  announce_(true, "ApplyFailed", "Apply", error.message);
}

void Worker::restore(const std::string& why, Report& report) {
  const bool held = !keeper_.holds_nothing();
  auto restored = changed(keeper_.restore());
  if (!restored) {
    failed(restored.error(), report);
    return;
  }
  for (const auto& left : restored->left) append(report.message, left);
  if (!held) return;
  ++counters_.restores;
  announce_(false, "RuntimeRestored", "Restore", fmt::format("the node's files are as before{}{}", why.empty() ? "" : ": ", why));
}

void Worker::repair(Report& report) {
  const auto now = clock_.steady();
  std::erase_if(repairs_, [&](SteadyTime at) { return now - at >= kRepairWindow; });
  if (repairs_.size() >= kMostRepairs) {
    append(report.message,
           fmt::format("files were mended {} times within a minute and are changed by somebody again; mark them \"{}\" or find out who",
                       kMostRepairs, kUnmanagedMark));
    report.next = std::min(report.next, repairs_.front() + kRepairWindow);
    return;
  }
  const auto repaired = changed(keeper_.repair());
  if (!repaired) {
    failed(repaired.error(), report);
    append(report.message, failure_);
    return;
  }
  if (repaired->written.empty()) return;
  repairs_.push_back(now);
  counters_.drift += repaired->written.size();
  announce_(true, "DriftRepaired", "Repair",
            fmt::format("{}: changed or deleted by somebody, and written again; to keep a change of yours put the line \"{}\" in the file",
                        listed(repaired->written), kUnmanagedMark));
}

void Worker::report_drift(Report& report) {
  std::vector<std::string> unmanaged;
  for (const auto& drift : keeper_.look()) {
    ++report.drift;
    if (drift.kind == Drift::Kind::kUnmanaged) unmanaged.push_back(drift.path);
  }
  const auto names = listed(unmanaged);
  if (!names.empty()) append(report.message, fmt::format("left alone, as marked: {}", names));
  if (names != said_unmanaged_ && !names.empty())
    announce_(false, "Unmanaged", "LeaveAlone", fmt::format("{}: marked \"{}\"", names, kUnmanagedMark));
  said_unmanaged_ = names;
}

// A cache goes when its policy has left the node, after the agent that still writes to it, if that can be told.
void Worker::look_after_storage(const Situation& situation, Report& report) {
  const bool left = situation.uninstalling || (situation.node_known && situation.uninstall_known && situation.group.empty()) ||
                    (situation.config_known && !situation.config && situation.config_problem.empty() && situation.config_missing_long);
  std::vector<std::pair<std::string, bool>> unwanted;
  for (const auto& [path, keep] : keeper_.ledger().storage) {
    if (left || (config_ && config_->storage_path != path)) unwanted.emplace_back(path, keep);
  }
  if (unwanted.empty()) {
    agent_leaves_since_.reset();
    return;
  }
  if (!agent_leaves_since_) agent_leaves_since_ = clock_.steady();
  const auto patient_until = *agent_leaves_since_ + settings_.storage_patience;
  const auto mirror = config_ ? config_->mirror : std::string("http://127.0.0.1:5050");
  if (clock_.steady() < patient_until && host_.probe(mirror)) {
    report.next = std::min({report.next, patient_until, clock_.steady() + seconds(2)});
    return;
  }
  for (const auto& [path, keep] : unwanted) {
    const auto removed = keep ? Result<void>() : remove_storage(settings_.root, path);
    if (!removed) spdlog::warn("the cache folder stays: {}", removed.error().message);
    if (removed && !keep) spdlog::info("cache folder removed path={}", path);
    (void)keeper_.forget_storage(path);
  }
  agent_leaves_since_.reset();
}

void Worker::end(std::optional<bool> gone) {
  if (gone && !*gone) return;
  if (!gone) {
    spdlog::info("the API server can not say whether Cistern stays: strict files become such that the registries may be asked");
    if (const auto fallen = changed(keeper_.fall_back()); !fallen) spdlog::error("strict files stay: {}", fallen.error().message);
    return;
  }
  Report report;
  restore("the DaemonSet is gone", report);
  const auto storage = keeper_.ledger().storage;
  for (const auto& [path, keep] : storage) {
    if (!keep) {
      if (const auto removed = remove_storage(settings_.root, path); !removed)
        spdlog::warn("the cache folder stays: {}", removed.error().message);
    }
    (void)keeper_.forget_storage(path);
  }
}

std::vector<fs::path> Worker::folders() const {
  std::set<fs::path> found;
  for (const auto& [path, file] : keeper_.ledger().files) {
    const fs::path folder = settings_.root / fs::path(path).parent_path().relative_path();
    found.insert(folder);
    // Whole folders are deleted, too.
    found.insert(folder.parent_path());
  }
  return {found.begin(), found.end()};
}

}  // namespace cistern::node
