#include "operator/rewrite/dockerfile.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/text.hpp"

namespace cistern::rewrite {
namespace {

using std::string_view;

// A word of an instruction, and where each of its characters is: a line may be continued within it.
struct Word {
  std::string text;
  std::vector<std::size_t> at;
};

using Instruction = std::vector<Word>;  // its first word is its name, in lower case

struct Heredoc {
  std::string end;
  bool indented;  // by tabs, which do not count
};

// Instructions as BuildKit's parser divides a text into them: comments, continued lines and heredocs are out of the way.
class Parser {
 public:
  explicit Parser(string_view text) : text_(text) { read_directives(); }

  std::vector<Instruction> instructions() {
    std::vector<Instruction> all;
    while (next_ < text_.size()) {
      const auto begin = next_;
      const auto line = take_line();
      if (is_skipped(line)) continue;
      auto instruction = words(continued(begin, line));
      if (instruction.empty()) continue;
      for (auto& c : instruction.front().text) c = lower_case(string_view(&c, 1)).front();
      skip_heredocs(instruction);
      all.push_back(std::move(instruction));
    }
    return all;
  }

 private:
  // The next line without its end.
  string_view take_line() {
    const auto end = std::min(text_.find('\n', next_), text_.size());
    auto line = text_.substr(next_, end - next_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    next_ = std::min(end + 1, text_.size());
    return line;
  }

  static bool is_skipped(string_view line) {
    const auto content = trimmed(line);
    return content.empty() || content.starts_with('#');
  }

  // `# escape=…` among the directives before everything else.
  void read_directives() {
    static const RE2 kDirective(R"(\s*#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*)");
    while (next_ < text_.size()) {
      const auto begin = next_;
      const std::string line(take_line());
      std::string name;
      std::string value;
      if (!RE2::FullMatch(line, kDirective, &name, &value)) {
        next_ = begin;
        return;
      }
      if (lower_case(name) == "escape" && (value == "`" || value == "\\")) escape_ = value.front();
    }
  }

  // Whether the line goes on; cuts what says so.
  bool cut_continuation(string_view& line) const {
    const auto last = line.find_last_not_of(" \t");
    if (last == string_view::npos || line[last] != escape_ || (last > 0 && line[last - 1] == escape_)) return false;
    line = line.substr(0, last);
    return true;
  }

  // All characters of the instruction whose first line begins at `begin`.
  Word continued(std::size_t begin, string_view line) {
    Word whole;
    while (true) {
      const bool more = cut_continuation(line);
      for (std::size_t i = 0; i < line.size(); ++i) {
        whole.text += line[i];
        whole.at.push_back(begin + i);
      }
      if (!more) return whole;
      do {
        if (next_ == text_.size()) return whole;
        begin = next_;
        line = take_line();
      } while (is_skipped(line));
    }
  }

  static Instruction words(const Word& whole) {
    Instruction instruction;
    char quote = 0;
    bool inside = false;
    for (std::size_t i = 0; i < whole.text.size(); ++i) {
      const char c = whole.text[i];
      if (quote == 0 && (c == ' ' || c == '\t')) {
        inside = false;
        continue;
      }
      if (!inside) instruction.emplace_back();
      inside = true;
      instruction.back().text += c;
      instruction.back().at.push_back(whole.at[i]);
      if (quote == c) {
        quote = 0;
      } else if (quote == 0 && (c == '"' || c == '\'')) {
        quote = c;
      }
    }
    return instruction;
  }

  void skip_heredocs(const Instruction& instruction) {
    static const RE2 kHeredoc(R"(\d*<<(-?)['"]?([^<'"\s]+)['"]?)");
    const auto& name = instruction[instruction.front().text == "onbuild" && instruction.size() > 1 ? 1 : 0].text;
    if (const auto lower = lower_case(name); lower != "run" && lower != "copy" && lower != "add") return;
    for (const auto& word : instruction) {
      std::string dash;
      Heredoc heredoc;
      if (!RE2::FullMatch(word.text, kHeredoc, &dash, &heredoc.end)) continue;
      heredoc.indented = !dash.empty();
      skip(heredoc);
    }
  }

  // Where the end is missing, it was none.
  void skip(const Heredoc& heredoc) {
    const auto begin = next_;
    while (next_ < text_.size()) {
      auto line = take_line();
      if (heredoc.indented) line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
      if (line == heredoc.end) return;
    }
    next_ = begin;
  }

  string_view text_;
  std::size_t next_ = 0;
  char escape_ = '\\';
};

class Images {
 public:
  Images(const std::vector<Instruction>& instructions, Edits& edits) : edits_(edits) {
    for (const auto& instruction : instructions) {
      if (const auto stage = stage_of(instruction); !stage.empty()) stages_.insert(stage);
    }
  }

  void look_at(const Instruction& instruction, std::size_t first = 0) {
    if (first >= instruction.size()) return;
    const auto name = lower_case(instruction[first].text);
    if (name == "onbuild") {
      look_at(instruction, first + 1);
    } else if (name == "from") {
      from(instruction, first);
    } else {
      for (auto i = first + 1; i < instruction.size() && instruction[i].text.starts_with("--"); ++i) flag(name, instruction[i]);
    }
  }

 private:
  // The index of FROM's image.
  static std::size_t image_of(const Instruction& instruction, std::size_t first) {
    auto at = first + 1;
    while (at < instruction.size() && instruction[at].text.starts_with("--")) ++at;
    return at;
  }

  static std::string stage_of(const Instruction& instruction) {
    const auto image = image_of(instruction, 0);
    const bool named =
        instruction.front().text == "from" && image + 2 < instruction.size() && lower_case(instruction[image + 1].text) == "as";
    return named ? lower_case(instruction[image + 2].text) : "";
  }

  void from(const Instruction& instruction, std::size_t first) {
    const auto at = image_of(instruction, first);
    if (at >= instruction.size()) return;
    const auto& word = instruction[at];
    if (word.text != "scratch" && !earlier_.contains(lower_case(word.text))) image(word, 0, word.text.size());
    if (const auto stage = stage_of(instruction); !stage.empty()) earlier_.insert(stage);
  }

  // COPY --from=IMAGE, RUN --mount=type=bind,from=IMAGE,…
  void flag(const std::string& name, const Word& word) {
    if (name == "copy" && word.text.starts_with("--from=")) source(word, 7, word.text.size());
    if (name != "run" || !word.text.starts_with("--mount=")) return;
    for (std::size_t at = 8; at < word.text.size();) {
      const auto end = std::min(word.text.find(',', at), word.text.size());
      if (word.text.compare(at, 5, "from=") == 0) source(word, at + 5, end);
      at = end + 1;
    }
  }

  // An image, a stage by name or by number.
  void source(const Word& word, std::size_t begin, std::size_t end) {
    const auto name = lower_case(string_view(word.text).substr(begin, end - begin));
    if (!stages_.contains(name) && name.find_first_not_of("0123456789") != std::string::npos) image(word, begin, end);
  }

  void image(const Word& word, std::size_t begin, std::size_t end) {
    const auto at = word.at[begin];
    if (word.at[end - 1] == at + (end - 1 - begin)) {
      edits_.reference(at, end - begin);
    } else {
      edits_.unclear(at, string_view(word.text).substr(begin, end - begin), "it is not written on one line");
    }
  }

  Edits& edits_;
  std::set<std::string> stages_;   // of the whole file
  std::set<std::string> earlier_;  // before the instruction that is looked at, which is what FROM can mean
};

}  // namespace

void find_in_dockerfile(string_view text, Edits& edits) {
  const auto instructions = Parser(text).instructions();
  Images images(instructions, edits);
  for (const auto& instruction : instructions) images.look_at(instruction);
}

}  // namespace cistern::rewrite
