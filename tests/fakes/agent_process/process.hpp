// A child process in a group of its own; it and its children are killed when the object goes, and it dies with the test. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace cistern::fakes {

struct Command {
  std::vector<std::string> arguments;         // the program first; looked for in PATH
  std::vector<std::string> environment = {};  // "NAME=value", added to ours; "NAME" alone removes it
  std::filesystem::path folder = {};          // to run in; empty: ours
};

// How it ended: an exit code, or 128 + the signal.
struct Ended {
  int code = 0;
  std::string output;  // standard output and error together
};

class Process {
 public:
  // Output goes to `log`, which is appended to.
  Process(const Command& command, std::filesystem::path log);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number);
  // Empty if it has not ended by then.
  std::optional<int> wait(std::chrono::milliseconds limit);
  // kill -9, and gone when it returns.
  void kill();
  std::string output() const;

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
  std::optional<int> code_;
};

// Runs to the end; killed after the limit (code 124).
Ended run(const Command& command, std::chrono::milliseconds limit = std::chrono::seconds(60));

// Where a program is in PATH; empty if it is not installed.
std::string find_program(const std::string& name);

}  // namespace cistern::fakes
