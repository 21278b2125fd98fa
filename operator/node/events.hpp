// What wakes the node program: the API server's news, files that change, a signal, time. One thread waits; any thread may wake it.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <vector>

#include "base/error.hpp"

namespace cistern::node {

class Events {
 public:
  // Blocks SIGTERM and SIGINT for this thread and those it starts later: they are heard here.
  static Result<Events> open();
  Events(Events&& other) noexcept;
  Events& operator=(Events&&) = delete;
  ~Events();

  // Folders to be told of changes in, and no others. What is not there is passed over: the periodic check covers it.
  void watch(const std::vector<std::filesystem::path>& folders);
  void wake() const;
  // True once a signal has come. Returns at `until`, or when something happened; what happens in the same moment is one return.
  bool wait(std::chrono::steady_clock::time_point until);

 private:
  Events(int wakes, int signals, int files) : wakes_(wakes), signals_(signals), files_(files) {}
  int wakes_, signals_, files_;
  std::map<std::filesystem::path, int> watched_;
};

}  // namespace cistern::node
