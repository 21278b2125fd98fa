#include "operator/admission/certificates.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "operator/admission/x509.hpp"

namespace cistern::admission {
namespace {

std::string value(const SecretData& data, const char* key) {
  const auto found = data.find(key);
  return found == data.end() ? "" : found->second;
}

WallTime renewal(const Identity& identity) {
  // Of the life that was meant: the hour before it was made does not count.
  const auto made = identity.not_before + kBackdated;
  return made + (identity.not_after - made) * 2 / 3;
}

// Empty, or why it can not be used as a CA now.
std::string why_no_ca(const std::optional<Identity>& ca, WallTime now) {
  if (!ca || !is_ca(*ca)) return "it can not be read, or its key does not belong to it";
  if (now < ca->not_before) return "it is not valid yet, so this or another machine's clock was wrong";
  return now >= ca->not_after ? "it expired" : "";
}

class Stepper {
 public:
  Stepper(const SecretData& data, std::string_view published, const std::vector<std::string>& names, WallTime now)
      : published_(published), names_(names), now_(now) {
    step_.data = data;
    read();
  }

  Result<CertificateStep> step() {
    for (const auto& part : {&Stepper::settle_ca, &Stepper::settle_certificate, &Stepper::settle_next_ca, &Stepper::settle_old_ca}) {
      if (const auto done = (this->*part)(); !done) return fail(done.error());
    }
    step_.ca_bundle = bundle();
    step_.look_again = look_again();
    return std::move(step_);
  }

 private:
  void read() {
    ca_ = read_identity({value(step_.data, kCaCert), value(step_.data, kCaKey)});
    next_ = read_identity({value(step_.data, kNextCaCert), value(step_.data, kNextCaKey)});
    tls_ = read_identity({value(step_.data, kTlsCert), value(step_.data, kTlsKey)});
  }

  template <class... Args>
  void changed(fmt::format_string<Args...> format, Args&&... args) {
    step_.changes.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void set(const char* cert_key, const char* key_key, const KeyPair& pair) {
    step_.data[cert_key] = pair.cert;
    step_.data[key_key] = pair.key;
    read();
  }

  void begin_overlap() { step_.data[kOverlapSince] = std::to_string(now_.time_since_epoch().count()); }

  // When the present phase is over. One that began in the future, or is not told, begins now.
  WallTime overlap_end() {
    const auto text = value(step_.data, kOverlapSince);
    std::int64_t since = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), since);
    const bool told = !text.empty() && error == std::errc() && end == text.data() + text.size();
    if (!told || WallTime(std::chrono::seconds(since)) > now_) {
      changed("the overlap of two CAs begins anew: its time was {}", text.empty() ? "missing" : "no time in the past");
      begin_overlap();
      return now_ + kOverlap;
    }
    return WallTime(std::chrono::seconds(since)) + kOverlap;
  }

  bool is_published(const char* key) const {
    const auto pem = value(step_.data, key);
    return !pem.empty() && published_.find(pem) != std::string_view::npos;
  }

  // The next CA becomes the CA. What the old one has made is still trusted for a while.
  void promote() {
    if (read_certificate(value(step_.data, kCaCert)) != nullptr) {
      step_.data[kOldCaCert] = value(step_.data, kCaCert);
      begin_overlap();
    } else {
      step_.data.erase(kOldCaCert);
      step_.data.erase(kOverlapSince);
    }
    const KeyPair pair{value(step_.data, kNextCaCert), value(step_.data, kNextCaKey)};
    step_.data.erase(kNextCaCert);
    step_.data.erase(kNextCaKey);
    set(kCaCert, kCaKey, pair);
  }

  Result<void> settle_ca() {
    const auto why = why_no_ca(ca_, now_);
    if (why.empty()) return {};
    if (why_no_ca(next_, now_).empty()) {
      changed("the next CA is in use before its time, as the one in use can not be: {}", why);
      promote();
      return {};
    }
    const bool first = value(step_.data, kCaCert).empty();
    const auto made = make_ca(now_);
    if (!made) return fail(made.error());
    if (first) {
      changed("a CA, as there was none");
    } else {
      changed("a new CA at once, as the one in use can not be: {}", why);
    }
    step_.data[kNextCaCert] = made->cert;
    step_.data[kNextCaKey] = made->key;
    promote();
    return {};
  }

  Result<void> settle_certificate() {
    std::string why;
    if (!tls_) {
      why = value(step_.data, kTlsCert).empty() ? "there was none" : "it can not be read, or its key does not belong to it";
    } else {
      why = why_not_trusted(*tls_->cert, *ca_->cert, names_, now_);
      if (why.empty() && now_ >= renewal(*tls_)) why = "two thirds of its time are over";
    }
    return why.empty() ? Result<void>() : renew_certificate(why);
  }

  Result<void> renew_certificate(const std::string& why) {
    const auto made = make_certificate(*ca_, names_, now_);
    if (!made) return fail(made.error());
    changed("a new certificate: {}", why);
    set(kTlsCert, kTlsKey, *made);
    return {};
  }

  // From its publication to the switch.
  Result<void> settle_next_ca() {
    const bool there = !value(step_.data, kNextCaCert).empty();
    if (!there && now_ < renewal(*ca_)) return {};
    const auto why = why_no_ca(next_, now_);
    if (!there || !why.empty()) {
      const auto made = make_ca(now_);
      if (!made) return fail(made.error());
      changed("the next CA: {}",
              there ? "the one that was published can not be used: " + why : "two thirds of the present one's time are over");
      step_.data.erase(kOverlapSince);
      set(kNextCaCert, kNextCaKey, *made);
      return {};
    }
    if (!is_published(kNextCaCert)) {
      // Not by everybody, whatever was seen before.
      if (step_.data.erase(kOverlapSince) != 0) changed("the next CA is not in the webhook's configuration any more");
      return {};
    }
    if (value(step_.data, kOverlapSince).empty()) {
      changed("the next CA is published");
      begin_overlap();
    }
    if (now_ < overlap_end()) return {};
    changed("the next CA is in use");
    promote();
    return renew_certificate("the next CA makes it");
  }

  Result<void> settle_old_ca() {
    if (value(step_.data, kOldCaCert).empty()) return {};
    const bool next = !value(step_.data, kNextCaCert).empty();
    // A former CA that can not be read would make the API server refuse the whole bundle.
    const bool readable = read_certificate(value(step_.data, kOldCaCert)) != nullptr;
    if (readable && (next || now_ < overlap_end())) return {};
    changed("the old CA is not published any more");
    step_.data.erase(kOldCaCert);
    if (!next) step_.data.erase(kOverlapSince);
    return {};
  }

  std::string bundle() const {
    std::string all;
    for (const auto* key : {kCaCert, kNextCaCert, kOldCaCert}) {
      all += value(step_.data, key);
      if (!all.empty() && all.back() != '\n') all += '\n';
    }
    return all;
  }

  WallTime look_again() {
    auto at = std::min(renewal(*ca_), renewal(*tls_));
    if (!value(step_.data, kNextCaCert).empty()) at = renewal(*tls_);  // until it is published, which is a change
    if (!value(step_.data, kOverlapSince).empty()) at = std::min(at, overlap_end());
    return std::max(at, now_ + std::chrono::seconds(1));
  }

  std::string_view published_;
  const std::vector<std::string>& names_;
  WallTime now_;
  CertificateStep step_;
  std::optional<Identity> ca_, next_, tls_;
};

}  // namespace

std::vector<std::string> webhook_names(const std::string& ns, const std::string& cluster_domain) {
  const auto name = fmt::format("cistern-webhook.{}.svc", ns);
  return {name, name + "." + cluster_domain};
}

Result<CertificateStep> next_certificates(const SecretData& data, std::string_view published, const std::vector<std::string>& names,
                                          WallTime now) {
  return Stepper(data, published, names, now).step();
}

}  // namespace cistern::admission
