#include <gtest/gtest.h>

#include "operator/rewrite/reference.hpp"
#include "tests/unit/operator/rewrite/mirror.hpp"

namespace cistern::rewrite {
namespace {

// The whole reference afterwards; "-": it stays; else why it can not be changed.
std::string renamed(const std::string& reference, Direction direction = Direction::kToMirror) {
  const auto renaming = rename_reference(reference, test::mirror(), direction);
  if (!renaming) return renaming.error();
  if (!*renaming) return "-";
  return (*renaming)->name + reference.substr((*renaming)->size);
}

struct Case {
  const char* reference;
  const char* expected;
};

const std::string kDigest = "@sha256:" + std::string(64, 'a');

TEST(Reference, short_names_are_completed_as_docker_does_and_the_rest_stays) {
  const Case cases[] = {
      {"nginx", "127.0.0.1:5050/docker.io/library/nginx"},
      {"nginx:1.27-alpine", "127.0.0.1:5050/docker.io/library/nginx:1.27-alpine"},
      {"library/nginx", "127.0.0.1:5050/docker.io/library/nginx"},
      {"bitnami/redis:7", "127.0.0.1:5050/docker.io/bitnami/redis:7"},
      {"docker.io/nginx", "127.0.0.1:5050/docker.io/library/nginx"},
      {"docker.io/library/nginx:1", "127.0.0.1:5050/docker.io/library/nginx:1"},
      {"index.docker.io/grafana/grafana", "127.0.0.1:5050/docker.io/grafana/grafana"},
      {"quay.io/prometheus/node-exporter:v1.8.0", "127.0.0.1:5050/quay.io/prometheus/node-exporter:v1.8.0"},
      {"registry.k8s.io/coredns/coredns:v1.11.1", "127.0.0.1:5050/registry.k8s.io/coredns/coredns:v1.11.1"},
  };
  for (const auto& [reference, expected] : cases) EXPECT_EQ(renamed(reference), expected);
  EXPECT_EQ(renamed("nginx" + kDigest), "127.0.0.1:5050/docker.io/library/nginx" + kDigest);
  EXPECT_EQ(renamed("quay.io/a/b:v1" + kDigest), "127.0.0.1:5050/quay.io/a/b:v1" + kDigest);
}

TEST(Reference, what_the_mirror_does_not_serve_and_what_leads_there_stays) {
  for (const auto* reference : {"ghcr.io/a/b:1", "localhost/app", "localhost:5000/app:v1", "Registry.example/app", "127.0.0.1:5050/app",
                                "127.0.0.1:5050/docker.io/library/nginx:1.27", "[::1]:5000/app"}) {
    EXPECT_EQ(renamed(reference), "-") << reference;
  }
}

TEST(Reference, a_variable_may_be_in_the_tag_only) {
  EXPECT_EQ(renamed("golang:${GO_VERSION}"), "127.0.0.1:5050/docker.io/library/golang:${GO_VERSION}");
  EXPECT_EQ(renamed("golang:$GO-alpine"), "127.0.0.1:5050/docker.io/library/golang:$GO-alpine");
  EXPECT_EQ(renamed("nginx:${TAG:-1.27/a@b}"), "127.0.0.1:5050/docker.io/library/nginx:${TAG:-1.27/a@b}");
  EXPECT_EQ(renamed("nginx@${DIGEST}"), "127.0.0.1:5050/docker.io/library/nginx@${DIGEST}");
  for (const auto* reference : {"${IMAGE}", "$IMAGE:1", "nginx$SUFFIX:1", "${REGISTRY:-docker.io}/nginx:1", "localhost:${PORT}/app",
                                "{{ .Values.image }}", "quay.io/${ORG}/app:1"}) {
    EXPECT_EQ(renamed(reference), "its name holds a variable") << reference;
  }
}

TEST(Reference, what_is_no_reference_is_told) {
  for (const auto* reference :
       {"Nginx", "nginx:", "nginx:a b", "a//b", "/nginx", "https://quay.io/a", "nginx@sha256:12", "-", "quay.io/"}) {
    EXPECT_EQ(renamed(reference), "is not an image reference") << reference;
  }
}

TEST(Reference, a_registrys_port_is_put_so_that_it_may_be_in_a_path) {
  EXPECT_EQ(renamed("registry.corp.example:5000/team/app:1"), "127.0.0.1:5050/registry.corp.example_5000/team/app:1");
  EXPECT_EQ(renamed("127.0.0.1:5050/registry.corp.example_5000/team/app:1", Direction::kBack), "registry.corp.example:5000/team/app:1");
}

TEST(Reference, goes_back_to_the_registrys_own_name) {
  EXPECT_EQ(renamed("127.0.0.1:5050/docker.io/library/nginx:1", Direction::kBack), "docker.io/library/nginx:1");
  EXPECT_EQ(renamed("127.0.0.1:5050/quay.io/a/b:${X}", Direction::kBack), "quay.io/a/b:${X}");
  EXPECT_EQ(renamed("127.0.0.1:5050/ghcr.io/a/b", Direction::kBack), "-") << "not of this mirror";
  EXPECT_EQ(renamed("127.0.0.1:5050/app", Direction::kBack), "-");
  EXPECT_EQ(renamed("nginx", Direction::kBack), "-");
}

}  // namespace
}  // namespace cistern::rewrite
