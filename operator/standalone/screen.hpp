// Where standalone mode talks to a person: on a terminal, messages above a view that is drawn again and again; elsewhere, a log. One
// thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cistern::standalone {

enum class Level { kInfo, kWarning, kError };

class Screen {
 public:
  // `live`: standard output is a terminal.
  explicit Screen(bool live) : live_(live) {}

  bool live() const { return live_; }
  std::size_t width() const;
  // Each line of `text` is one message.
  void say(Level level, const std::string& text);
  // Replaces the view; nothing where there is no terminal.
  void draw(std::vector<std::string> lines);

 private:
  void clear();
  void show();

  bool live_;
  std::vector<std::string> view_;
  bool shown_ = false;
};

}  // namespace cistern::standalone
