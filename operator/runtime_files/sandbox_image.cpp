#include "operator/runtime_files/sandbox_image.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "operator/runtime_files/containerd_config.hpp"
#include "operator/runtime_files/toml.hpp"

namespace cistern::runtime_files {
namespace {

// Of every version of both runtimes so far; only the registry matters here.
constexpr const char* kDefaultImage = "registry.k8s.io/pause";

std::optional<std::string> crio_pause_in(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const auto parsed = parse_toml(std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>()));
  if (!in.is_open() || !parsed) return std::nullopt;
  return (*parsed)["crio"]["image"]["pause_image"].value<std::string>();
}

}  // namespace

std::string containerd_sandbox_image(const std::filesystem::path& root, const std::filesystem::path& file) {
  const auto image = read_containerd_config(root, file).sandbox_image;
  return image.empty() ? kDefaultImage : image;
}

std::string crio_pause_image(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root / "etc/crio/crio.conf.d", error)) files.push_back(entry.path());
  std::ranges::sort(files);
  files.insert(files.begin(), root / "etc/crio/crio.conf");
  std::string image = kDefaultImage;
  for (const auto& file : files) {
    if (const auto said = crio_pause_in(file); said && !said->empty()) image = *said;
  }
  return image;
}

}  // namespace cistern::runtime_files
