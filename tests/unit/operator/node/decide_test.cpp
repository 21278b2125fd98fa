#include "operator/node/decide.hpp"

#include <gtest/gtest.h>

namespace cistern::node {
namespace {

Config wanted(Mode mode = Mode::kApply) {
  Config config;
  config.mode = mode;
  config.hash = "new";
  return config;
}

// Everything is known, the configuration is new and granted, and an older one is in force.
Situation usual() {
  Situation situation;
  situation.uninstall_known = situation.node_known = situation.config_known = true;
  situation.group = "default";
  situation.config = wanted();
  situation.granted = "new";
  situation.has_something = true;
  situation.applied = "old";
  return situation;
}

struct Row {
  const char* name;
  void (*change)(Situation&);
  Action action;
  const char* state;
};

const Row kRows[] = {
    {"Granted", [](Situation&) {}, Action::kApply, "Applied"},
    {"NotGranted", [](Situation& s) { s.granted = "old"; }, Action::kKeep, "Waiting"},
    {"NotGrantedAndDrifted",
     [](Situation& s) {
       s.granted = "";
       s.drifted = true;
     },
     Action::kRepair, "Waiting"},
    {"ToldToLetGo", [](Situation& s) { s.granted = "none"; }, Action::kRestore, "Restored"},
    {"ToldToLetGoAndHasNothing",
     [](Situation& s) {
       s.granted = "none";
       s.has_something = false;
       s.applied = "";
     },
     Action::kKeep, "Restored"},
    {"Resting", [](Situation& s) { s.resting = true; }, Action::kKeep, "Failed"},
    {"InForce",
     [](Situation& s) {
       s.applied = "new";
       s.granted = "";
     },
     Action::kKeep, "Applied"},
    {"InForceAndDrifted",
     [](Situation& s) {
       s.applied = "new";
       s.drifted = true;
     },
     Action::kRepair, "Applied"},
    {"Uninstalling",
     [](Situation& s) {
       s.uninstalling = true;
       s.drifted = true;
     },
     Action::kRestore, "Restored"},
    {"UninstallingAndDone",
     [](Situation& s) {
       s.uninstalling = true;
       s.has_something = false;
     },
     Action::kKeep, "Restored"},
    {"UninstallingBeforeAnythingElseIsKnown",
     [](Situation& s) {
       s = {};
       s.uninstalling = s.has_something = true;
     },
     Action::kRestore, "Restored"},
    {"NothingKnown",
     [](Situation& s) {
       s = {};
       s.has_something = true;
     },
     Action::kKeep, "Unknown"},
    {"NothingKnownAndDrifted",
     [](Situation& s) {
       s = {};
       s.has_something = s.drifted = true;
     },
     Action::kRepair, "Unknown"},
    {"TheMarkIsNotKnown", [](Situation& s) { s.uninstall_known = false; }, Action::kKeep, "Unknown"},
    {"NoGroup",
     [](Situation& s) {
       s.group = "";
       s.config.reset();
       s.config_known = false;
     },
     Action::kRestore, "Restored"},
    {"NoGroupAndNothingOfOurs",
     [](Situation& s) {
       s.group = "";
       s.has_something = false;
     },
     Action::kKeep, "Restored"},
    {"ConfigNotReadYet",
     [](Situation& s) {
       s.config_known = false;
       s.config.reset();
     },
     Action::kKeep, "Unknown"},
    {"ConfigGoneForAMoment", [](Situation& s) { s.config.reset(); }, Action::kKeep, "Unknown"},
    {"ConfigGone",
     [](Situation& s) {
       s.config.reset();
       s.config_missing_long = true;
     },
     Action::kRestore, "Restored"},
    {"ConfigInvalid",
     [](Situation& s) {
       s.config.reset();
       s.config_problem = "x";
       s.config_missing_long = true;
     },
     Action::kKeep, "Invalid"},
    {"Off", [](Situation& s) { s.config = wanted(Mode::kOff); }, Action::kRestore, "Off"},
    {"OffAndNothingOfOurs",
     [](Situation& s) {
       s.config = wanted(Mode::kOff);
       s.has_something = false;
     },
     Action::kKeep, "Off"},
    {"ReportAfterApply", [](Situation& s) { s.config = wanted(Mode::kReport); }, Action::kRestore, "Reported"},
    {"Report",
     [](Situation& s) {
       s.config = wanted(Mode::kReport);
       s.has_something = false;
     },
     Action::kReport, "Reported"},
    {"Blocked", [](Situation& s) { s.blocked = "x"; }, Action::kRestore, "Unsupported"},
    {"BlockedAndNothingOfOurs",
     [](Situation& s) {
       s.blocked = "x";
       s.has_something = false;
     },
     Action::kKeep, "Unsupported"},
};

class Decide : public testing::TestWithParam<Row> {};

TEST_P(Decide, As) {
  auto situation = usual();
  GetParam().change(situation);
  const auto decision = decide(situation);
  EXPECT_EQ(decision.action, GetParam().action);
  EXPECT_EQ(decision.state, GetParam().state);
}

INSTANTIATE_TEST_SUITE_P(Table, Decide, testing::ValuesIn(kRows), [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cistern::node
