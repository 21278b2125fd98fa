// Whatever the text, only references change.
#include <gtest/gtest.h>

#include <iterator>
#include <random>
#include <string>

#include "operator/rewrite/rewrite.hpp"
#include "tests/unit/operator/rewrite/mirror.hpp"

namespace cistern::rewrite {
namespace {

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); }

template <std::size_t N>
std::string pick(Random& random, const char* const (&values)[N]) {
  return values[below(random, N)];
}

// A text made of pieces, and what it is to become: the same pieces but for references.
struct Pair {
  std::string before;
  std::string after;
  void both(const std::string& text) { before += text, after += text; }
  void change(const std::string& from, const std::string& to) { before += from, after += to; }
};

const char* const kNoise[] = {"ä", "漢", "😀", "x", "image: nginx", "FROM nginx", "'", "\"", "<<EOF", " ", "&a", "*"};

std::string comment(Random& random) {
  std::string text = "# ";
  for (std::size_t i = 0; i < below(random, 6); ++i) text += pick(random, kNoise);
  return text;
}

struct Reference {
  const char* from;
  const char* to;
};

const Reference kReferences[] = {
    {"nginx", "127.0.0.1:5050/docker.io/library/nginx"},
    {"nginx:1.27", "127.0.0.1:5050/docker.io/library/nginx:1.27"},
    {"quay.io/a/b:v1", "127.0.0.1:5050/quay.io/a/b:v1"},
    {"docker.io/a/b@sha256:67682bda769fae1ccf5183192b8daf37b64cae99c6c3302650f6f8bf5f0f95df",
     "127.0.0.1:5050/docker.io/a/b@sha256:67682bda769fae1ccf5183192b8daf37b64cae99c6c3302650f6f8bf5f0f95df"},
    {"ghcr.io/a/b", "ghcr.io/a/b"},
    {"127.0.0.1:5050/docker.io/library/nginx", "127.0.0.1:5050/docker.io/library/nginx"},
};

const Reference& reference(Random& random) { return kReferences[below(random, std::size(kReferences))]; }

// `  image: VALUE` in one of the ways of writing a scalar, at that indentation.
void add_image(Random& random, const std::string& indent, const std::string& end, Pair& pair) {
  const auto& [from, to] = reference(random);
  switch (below(random, 6)) {
    case 0: pair.both("image: "), pair.change(from, to); break;
    case 1: pair.both("image:   \""), pair.change(from, to), pair.both("\""); break;
    case 2: pair.both("image: '"), pair.change(from, to), pair.both("'"); break;
    case 3: pair.both("\"image\": &i" + std::to_string(pair.before.size()) + " "), pair.change(from, to); break;
    case 4: pair.both("image: >-" + end + indent + "  "), pair.change(from, to), pair.both(end); return;
    default: pair.both("image: !!str "), pair.change(from, to); break;
  }
  if (below(random, 3) == 0) pair.both(" " + comment(random));
  pair.both(end);
}

void add_pod(Random& random, const std::string& end, Pair& pair) {
  pair.both("apiVersion: v1" + end + "kind: Pod" + end + "metadata:" + end + "  name: " + pick(random, {"a", "ü", "\"漢\""}) + end);
  pair.both("spec:" + end + "  note: {image: nginx}" + end + "  text: |" + end + "    image: nginx" + end);
  for (const auto* list : {"containers", "initContainers", "ephemeralContainers"}) {
    if (below(random, 2) == 0) continue;
    pair.both(fmt::format("  {}:{}", list, end));
    for (std::size_t i = 0; i < 1 + below(random, 3); ++i) {
      if (below(random, 3) == 0) pair.both("  " + comment(random) + end);
      if (below(random, 4) == 0) {
        const auto& [from, to] = reference(random);
        pair.both("  - {name: \"é\", image: \""), pair.change(from, to), pair.both("\", args: [image, nginx]}" + end);
        continue;
      }
      pair.both("  - name: " + pick(random, {"a", "ö"}) + end + "    ");
      add_image(random, "    ", end, pair);
    }
  }
}

TEST(RewriteProperties, of_manifests_nothing_but_references_changes) {
  Random random(1);
  for (int round = 0; round < 1000; ++round) {
    const std::string end = below(random, 3) == 0 ? "\r\n" : "\n";
    Pair pair;
    if (below(random, 4) == 0) pair.both("\xEF\xBB\xBF");
    for (std::size_t i = 0; i < 1 + below(random, 3); ++i) {
      if (i > 0) pair.both("---" + end);
      add_pod(random, end, pair);
    }
    const auto result = rewrite(pair.before, "f.yaml", Kind::kYaml, test::mirror(), Direction::kToMirror);
    ASSERT_TRUE(result) << result.error().message << "\n" << pair.before;
    ASSERT_EQ(result->text, pair.after) << "round " << round;
    ASSERT_TRUE(result->remarks.empty()) << result->remarks.front();
    EXPECT_EQ(rewrite(result->text, "f.yaml", Kind::kYaml, test::mirror(), Direction::kToMirror)->text, result->text);
  }
}

void add_instruction(Random& random, const std::string& end, Pair& pair) {
  const auto& [from, to] = reference(random);
  const std::string space = pick(random, {" ", "\t", "  ", " \t "});
  switch (below(random, 8)) {
    case 0: pair.both(comment(random) + end); break;
    case 1:
      pair.both(pick(random, {"FROM", "from", "  FROM"}) + space), pair.change(from, to), pair.both(space + "AS" + space + "s0" + end);
      break;
    case 2:
      pair.both("FROM" + space + "--platform=$P" + space + "\\" + end + comment(random) + end + space), pair.change(from, to),
          pair.both(end);
      break;
    case 3: pair.both("COPY --from="), pair.change(from, to), pair.both(" a b" + end); break;
    case 4: pair.both("RUN cat <<EOF" + end + "FROM nginx" + end + "EOF" + end); break;
    case 5: pair.both("RUN echo FROM \\" + end + "  FROM nginx && echo '<<EOF nginx'" + end); break;
    case 6: pair.both("COPY --from=s0 a b" + end + "FROM scratch" + end); break;
    default: pair.both("RUN --mount=type=bind,from="), pair.change(from, to), pair.both(",target=/x true" + end); break;
  }
}

TEST(RewriteProperties, of_dockerfiles_nothing_but_references_changes) {
  Random random(2);
  for (int round = 0; round < 1000; ++round) {
    const std::string end = below(random, 3) == 0 ? "\r\n" : "\n";
    Pair pair;
    if (below(random, 4) == 0) pair.both("\xEF\xBB\xBF");
    pair.both("FROM scratch AS s0" + end);
    for (std::size_t i = 0; i < below(random, 12); ++i) add_instruction(random, end, pair);
    const auto result = rewrite(pair.before, "Dockerfile", Kind::kDockerfile, test::mirror(), Direction::kToMirror);
    ASSERT_TRUE(result);
    ASSERT_EQ(result->text, pair.after) << "round " << round;
    EXPECT_EQ(rewrite(result->text, "Dockerfile", Kind::kDockerfile, test::mirror(), Direction::kToMirror)->text, result->text);
  }
}

// Texts that are anything: taking the mirror's prefixes out again gives what was there, with short names completed by nothing but what
// completes them.
std::string without_mirror(std::string text) {
  for (const std::string prefix : {"127.0.0.1:5050/docker.io/library/", "127.0.0.1:5050/docker.io/", "127.0.0.1:5050/quay.io/",
                                   "docker.io/library/", "docker.io/", "quay.io/"}) {
    for (std::size_t at = 0; (at = text.find(prefix, at)) != std::string::npos;) text.erase(at, prefix.size());
  }
  return text;
}

TEST(RewriteProperties, of_any_text_no_other_byte_changes_and_twice_is_once) {
  static const char* const kPieces[] = {"apiVersion: v1\n",
                                        "kind: Pod\n",
                                        "services:\n",
                                        "containers:\n",
                                        "- image: ",
                                        "  image: ",
                                        "image: ",
                                        "nginx\n",
                                        "nginx",
                                        "quay.io/a/b\n",
                                        "FROM ",
                                        "COPY --from=",
                                        "RUN ",
                                        "<<EOF\n",
                                        "EOF\n",
                                        "\\\n",
                                        "\t",
                                        "\r\n",
                                        "\n",
                                        "  ",
                                        "- ",
                                        "&a ",
                                        "*a\n",
                                        "<<: ",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        "\"",
                                        "'",
                                        "|\n",
                                        ">-\n",
                                        "# ",
                                        "---\n",
                                        "ü",
                                        "AS s\n",
                                        "$X",
                                        "web:\n",
                                        ":1.27\n",
                                        "!t ",
                                        "? ",
                                        ": "};
  Random random(3);
  int read = 0;
  int changed = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = below(random, 2) == 0   ? ""
                       : below(random, 2) == 0 ? "apiVersion: v1\nkind: Pod\ncontainers:\n- image: "
                                               : "services:\n  web:\n    image: ";
    for (std::size_t i = 0; i < 1 + below(random, 14); ++i) text += pick(random, kPieces);
    for (const auto kind : {Kind::kYaml, Kind::kDockerfile}) {
      const auto result = rewrite(text, "f", kind, test::mirror(), Direction::kToMirror);
      if (!result) continue;
      ++read;
      changed += result->text != text ? 1 : 0;
      ASSERT_EQ(without_mirror(result->text), without_mirror(text)) << text;
      const auto again = rewrite(result->text, "f", kind, test::mirror(), Direction::kToMirror);
      ASSERT_TRUE(again) << text;
      ASSERT_EQ(again->text, result->text) << text;
    }
  }
  EXPECT_GT(read, 20000);
  EXPECT_GT(changed, 200);
}

}  // namespace
}  // namespace cistern::rewrite
