#include "operator/admission/review_reader.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

namespace cistern::admission {
namespace {

// Where a value is, which decides what of it is kept.
enum class Place { kReview, kRequest, kPod, kMetadata, kSpec, kContainers, kContainer, kWhole, kSkipped };

bool is_one_of(std::string_view key, std::initializer_list<std::string_view> keys) { return std::ranges::find(keys, key) != keys.end(); }

Place whole_if(bool kept) { return kept ? Place::kWhole : Place::kSkipped; }

Place member_place(Place object, std::string_view key) {
  switch (object) {
    case Place::kReview: return key == "request" ? Place::kRequest : whole_if(is_one_of(key, {"kind", "apiVersion"}));
    case Place::kRequest:
      return key == "object" ? Place::kPod : whole_if(is_one_of(key, {"uid", "operation", "namespace", "resource", "subResource"}));
    case Place::kPod:
      if (key == "metadata") return Place::kMetadata;
      return key == "spec" ? Place::kSpec : Place::kSkipped;
    case Place::kMetadata: return whole_if(is_one_of(key, {"name", "generateName", "labels", "annotations"}));
    case Place::kSpec:
      if (is_one_of(key, {"containers", "initContainers"})) return Place::kContainers;
      return whole_if(is_one_of(key, {"hostNetwork", "dnsPolicy"}));
    case Place::kContainer: return whole_if(is_one_of(key, {"name", "env", "envFrom"}));
    case Place::kWhole: return Place::kWhole;
    case Place::kContainers:
    case Place::kSkipped: break;
  }
  return Place::kSkipped;
}

Place element_place(Place list) {
  if (list == Place::kContainers) return Place::kContainer;
  return whole_if(list == Place::kWhole);
}

class Reader final : public nlohmann::json_sax<Json> {
 public:
  Json take() { return std::move(root_); }

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(number_integer_t value) override { return scalar(value); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(value); }
  bool number_float(number_float_t value, const string_t&) override { return scalar(value); }
  bool string(string_t& value) override { return scalar(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON has none
  bool start_object(std::size_t) override { return start(Json::object()); }
  bool start_array(std::size_t) override { return start(Json::array()); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

  bool key(string_t& name) override {
    if (skipped_ > 0) return true;
    next_ = member_place(open_.back().place, name);
    if (next_ != Place::kSkipped) key_ = std::move(name);
    return true;
  }

 private:
  struct Level {
    Json* value;  // stays where it is: nothing is added to what surrounds it before it is complete
    Place place;
  };

  Place place() const {
    if (open_.empty()) return Place::kReview;
    return open_.back().value->is_array() ? element_place(open_.back().place) : next_;
  }

  Json& put(Json value) {
    if (open_.empty()) return root_ = std::move(value);
    Json& into = *open_.back().value;
    if (!into.is_array()) return into[key_] = std::move(value);
    into.push_back(std::move(value));
    return into.back();
  }

  template <class Value>
  bool scalar(Value&& value) {
    if (skipped_ == 0 && place() != Place::kSkipped) put(std::forward<Value>(value));
    return true;
  }

  bool start(Json value) {
    const Place at = place();
    if (skipped_ > 0 || at == Place::kSkipped) {
      ++skipped_;
    } else {
      open_.push_back({&put(std::move(value)), at});
    }
    return true;
  }

  bool end() {
    if (skipped_ > 0) {
      --skipped_;
    } else {
      open_.pop_back();
    }
    return true;
  }

  Json root_;
  std::vector<Level> open_;
  std::size_t skipped_ = 0;  // how deep we are in what is skipped
  Place next_ = Place::kReview;
  std::string key_;
};

}  // namespace

std::optional<Json> read_review(std::string_view body) {
  Reader reader;
  if (!Json::sax_parse(body, &reader)) return std::nullopt;
  return reader.take();
}

}  // namespace cistern::admission
