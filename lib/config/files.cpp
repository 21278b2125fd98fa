#include "config/files.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>

#include "config/credentials.hpp"

namespace cistern::config {
namespace {

constexpr std::size_t kMaxFile = 1 << 20;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Result<std::string> read_from_disk(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(ErrorCode::kNotFound, "{} does not exist", path);
    return fail(system_error(errno, "open " + path));
  }
  std::string content(kMaxFile + 1, '\0');
  content.resize(std::fread(content.data(), 1, content.size(), file.get()));
  if (std::ferror(file.get()) != 0) return fail(system_error(errno, "read " + path));
  return content;
}

}  // namespace

Files::Files(const std::filesystem::path& folder, const std::map<std::string, std::string>* memory)
    : folder_(std::filesystem::absolute(folder).lexically_normal()), memory_(memory) {}

std::filesystem::path Files::absolute(const std::string& name) const { return (folder_ / name).lexically_normal(); }

Result<std::string> Files::content_of(const std::filesystem::path& path) const {
  if (memory_ == nullptr) return read_from_disk(path.string());
  const auto found = memory_->find(path.lexically_relative(folder_).string());
  if (found == memory_->end()) return fail(ErrorCode::kNotFound, "{} does not exist", path.string());
  return found->second;
}

Result<std::string> Files::read(const std::string& name) {
  const auto path = absolute(name);
  looked_for_.push_back(path.string());
  auto content = content_of(path);
  if (!content) return content;
  if (content->size() > kMaxFile) return fail(ErrorCode::kInvalid, "{} is larger than 1 MiB", path.string());
  add_to_hash(name, *content);
  return content;
}

void Files::add_to_hash(std::string_view name, std::string_view content) {
  hash_.update(fmt::format("{} {} {} ", name.size(), name, content.size()));
  hash_.update(content);
}

Result<std::map<std::string, std::string>> Files::read_credential_keys(const std::string& prefix) {
  std::map<std::string, std::string> contents;
  for (const auto key : kCredentialKeys) {
    auto content = read(prefix + std::string(key));
    if (content) {
      contents[std::string(key)] = std::move(*content);
    } else if (content.error().code != ErrorCode::kNotFound) {
      return fail(content.error());
    }
  }
  return contents;
}

Result<Credentials> Files::read_credentials(const std::string& name, const std::vector<std::string>& hosts) {
  auto contents = read_credential_keys(name + "/");
  if (contents && contents->empty()) contents = read_credential_keys(name + ".");
  if (!contents) return fail(contents.error());
  const std::string where = absolute(name).string();
  auto credentials = to_credentials(*contents, hosts);
  if (credentials) return credentials;
  if (credentials.error().code != ErrorCode::kNotFound) return fail(credentials.error().in(where));
  return fail(ErrorCode::kNotFound, "{} holds no credentials; put the files username and password there, or token, or .dockerconfigjson",
              where);
}

Result<std::string> Files::read_certificates(const std::string& name) {
  auto content = read(name);
  if (!content) return content;
  if (auto checked = check_certificates(*content); !checked) {
    return fail(ErrorCode::kInvalid, "{} {}", absolute(name).string(), checked.error().message);
  }
  return content;
}

std::string Files::hash() const { return hash_.digest().hex().substr(0, 16); }

}  // namespace cistern::config
