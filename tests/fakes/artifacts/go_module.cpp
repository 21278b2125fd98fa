#include <zip.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <random>

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::fakes {

std::string noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (std::size_t at = 0; at < size; at += 8) {
    auto word = random();
    for (std::size_t i = 0; i < 8 && at + i < size; ++i, word >>= 8) bytes[at + i] = static_cast<char>(word);
  }
  return bytes;
}

std::string make_zip(const NamedFiles& files) {
  const TemporaryFolder folder;
  const auto name = folder / "module.zip";
  int error = 0;
  zip_t* archive = zip_open(name.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
  for (const auto& [path, content] : files) {
    zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), 0);
    const auto index = zip_file_add(archive, path.c_str(), source, ZIP_FL_ENC_UTF_8);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
    zip_file_set_dostime(archive, static_cast<zip_uint64_t>(index), 0, 0x21, 0);
  }
  zip_close(archive);
  return read_file(name);
}

std::string dirhash(NamedFiles files) {
  std::sort(files.begin(), files.end());
  std::string lines;
  for (const auto& [name, content] : files) lines += Sha256::of(content).hex() + "  " + name + "\n";
  const auto digest = Sha256::of(lines);
  return "h1:" + to_base64({reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()});
}

std::string escape_module(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0) escaped += '!';
    escaped += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return escaped;
}

std::string GoModule::target(std::string_view suffix) const {
  return "/" + escape_module(path) + "/@v/" + escape_module(version) + std::string(suffix);
}

GoModule make_module(const std::string& path, const std::string& version, std::size_t padding) {
  GoModule module{.path = path, .version = version, .info = {}, .mod = {}, .zip = {}};
  module.info = "{\"Version\":\"" + version + "\",\"Time\":\"2024-01-02T03:04:05Z\",\"Origin\":{\"VCS\":\"git\"}}\n";
  module.mod = "module " + path + "\n\ngo 1.18\n";
  const auto prefix = path + "@" + version + "/";
  NamedFiles files{{prefix + "go.mod", module.mod}, {prefix + "lib.go", "package lib\n\nconst Version = \"" + version + "\"\n"}};
  if (padding > 0) files.emplace_back(prefix + "padding.bin", noise(padding, std::hash<std::string>()(path + version)));
  module.zip = make_zip(files);
  module.zip_h1 = dirhash(files);
  module.mod_h1 = dirhash({{"go.mod", module.mod}});
  return module;
}

void publish(ScriptedUpstream& upstream, const GoModule& module) {
  upstream.on(module.target(".info"), Reply{.headers = {{"Content-Type", "application/json"}}, .body = module.info});
  upstream.on(module.target(".mod"), Reply{.headers = {{"Content-Type", "text/plain; charset=UTF-8"}}, .body = module.mod});
  upstream.on(module.target(".zip"), Reply{.headers = {{"Content-Type", "application/zip"}}, .body = module.zip});
}

}  // namespace cistern::fakes
