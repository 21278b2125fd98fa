#include "operator/standalone/screen.hpp"

#include <fmt/chrono.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <sstream>

namespace cistern::standalone {

std::size_t Screen::width() const {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  // One less, so that no line wraps and the count of lines stays true.
  return size.ws_col - 1U;
}

void Screen::say(Level level, const std::string& text) {
  clear();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (live_) {
      const char* mark = level == Level::kInfo ? "" : level == Level::kWarning ? "warning: " : "error: ";
      fmt::print("{:%H:%M:%S} {}{}\n", fmt::localtime(std::time(nullptr)), mark, line);
    } else {
      spdlog::log(level == Level::kInfo      ? spdlog::level::info
                  : level == Level::kWarning ? spdlog::level::warn
                                             : spdlog::level::err,
                  "{}", line);
    }
  }
  show();
}

void Screen::draw(std::vector<std::string> lines) {
  if (!live_) return;
  clear();
  view_ = std::move(lines);
  show();
}

void Screen::clear() {
  if (!shown_) return;
  // Up to the view's first line, and erase from there on.
  fmt::print("\x1b[{}A\x1b[J", view_.size());
  shown_ = false;
}

void Screen::show() {
  if (live_) {
    for (const auto& line : view_) fmt::print("{}\n", line);
    shown_ = !view_.empty();
  }
  std::fflush(stdout);
}

}  // namespace cistern::standalone
