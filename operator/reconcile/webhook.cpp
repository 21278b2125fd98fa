#include "operator/reconcile/webhook.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "base/encoding.hpp"
#include "operator/admission/x509.hpp"

namespace cistern::reconcile {
namespace {

constexpr std::string_view kCertManager = "cert-manager.io/inject-ca-from";
// Times in certificates are the wall clock's, which may be set; ours counts on.
constexpr milliseconds kLongestPause = std::chrono::hours(1);
constexpr milliseconds kConflictPause{100};

admission::SecretData webhook_data(const Json* secret) {
  admission::SecretData decoded;
  if (secret == nullptr || !secret->contains("data") || !secret->at("data").is_object()) return decoded;
  for (const auto& [key, value] : secret->at("data").items()) {
    decoded[key] = value.is_string() ? from_base64(value.get<std::string>()).value_or("") : std::string();
  }
  return decoded;
}

Json webhooks_of(const Json& configuration) {
  auto webhooks = configuration.value("webhooks", Json::array());
  return webhooks.is_array() ? webhooks : Json::array();
}

// So that the Secret goes with the configuration, which the chart makes and removes; without it nobody needs the Secret.
Json secret_owner(const Json& configuration) {
  return Json::array({{{"apiVersion", kube::kMutatingWebhooks.api_version()},
                       {"kind", kube::kMutatingWebhooks.kind},
                       {"name", kWebhookName},
                       {"uid", kube::metadata(configuration, "uid")}}});
}

bool is_owned(const Json* secret, const Json& configuration) {
  return secret != nullptr && contains(secret->at("metadata"), Json{{"ownerReferences", secret_owner(configuration)}});
}

}  // namespace

std::string published_bundle(const Json& configuration) {
  std::optional<std::string> published;
  for (const auto& webhook : webhooks_of(configuration)) {
    const auto encoded = webhook.value("clientConfig", Json::object()).value("caBundle", "");
    if (published && *published != encoded) return {};
    published = encoded;
  }
  return from_base64(published.value_or("")).value_or("");
}

void WebhookReconciler::serve(std::shared_ptr<const admission::Rules> rules) {
  if (options_.use_rules) options_.use_rules(std::move(rules));
  has_rules_ = true;
  parts_.metrics.webhook_ready(ready());
}

Result<Outcome> WebhookReconciler::serve_certificate() {
  if (!options_.enabled || !options_.use_certificate) return Outcome{};
  const auto secret = parts_.cluster.secrets().get({parts_.cluster.ns(), kWebhookSecret});
  auto data = webhook_data(secret.get());
  const auto& cert = data[admission::kTlsCert];
  const auto& key = data[admission::kTlsKey];
  const auto hash = hash_of(Json{cert, key});
  // What was shown before is better than nothing.
  if (cert.empty() || key.empty() || hash == shown_) return Outcome{};
  shown_ = hash;
  if (const auto used = options_.use_certificate(cert, key); !used) {
    spdlog::warn("certificate not taken, the former one stays: secret={} reason=\"{}\"", kWebhookSecret, used.error().message);
    return Outcome{};
  }
  if (const auto identity = admission::read_identity({cert, key})) parts_.metrics.webhook_certificate(identity->not_after);
  has_certificate_ = true;
  parts_.metrics.webhook_ready(ready());
  return Outcome{.changed = "certificate"};
}

bool WebhookReconciler::is_external(const Json& configuration) const {
  if (options_.external_certificates) return true;
  const auto annotations = configuration.at("metadata").value("annotations", Json::object());
  return std::ranges::any_of(annotations.items(), [](const auto& item) { return item.key().starts_with(kCertManager); });
}

std::string WebhookReconciler::external_trouble(const Json& configuration) const {
  const auto secret = parts_.cluster.secrets().get({parts_.cluster.ns(), kWebhookSecret});
  auto data = webhook_data(secret.get());
  if (data[admission::kTlsCert].empty() || data[admission::kTlsKey].empty()) {
    return fmt::format("the Secret {} has no tls.crt and tls.key, which the chart's webhook.certManager, or you, are to put there",
                       kWebhookSecret);
  }
  if (published_bundle(configuration).empty()) {
    return fmt::format("the MutatingWebhookConfiguration {} has no caBundle, which cert-manager, or you, are to put there", kWebhookName);
  }
  return {};
}

void WebhookReconciler::set_trouble(const std::string& trouble) {
  if (!state_.set_webhook_trouble(trouble)) return;
  if (!trouble.empty() && options_.enabled) spdlog::warn("webhook of no use, pods are created as they are: reason=\"{}\"", trouble);
  changed_();
}

Result<admission::CertificateStep> WebhookReconciler::next(const Json* secret, const Json& configuration) const {
  return admission::next_certificates(webhook_data(secret), published_bundle(configuration),
                                      admission::webhook_names(parts_.cluster.ns(), parts_.installation.cluster_domain),
                                      parts_.clock.wall());
}

Outcome WebhookReconciler::again_at(const admission::CertificateStep& step, std::string changed) const {
  const auto rest = std::chrono::duration_cast<milliseconds>(step.look_again - parts_.clock.wall());
  return {.changed = std::move(changed), .again = std::clamp(rest, milliseconds(0), kLongestPause)};
}

Result<Outcome> WebhookReconciler::reconcile() {
  if (!options_.enabled) {
    set_trouble("the webhook is off; install the chart with webhook.enabled=true");
    return Outcome{};
  }
  if (const auto forbidden = parts_.cluster.injection_trouble(); !forbidden.empty()) {
    set_trouble(fmt::format("the operator may not read what it needs ({}); upgrade the chart", forbidden));
    return Outcome{.again = kLongestPause};
  }
  const auto configuration = parts_.cluster.webhooks().get({"", kWebhookName});
  if (!configuration) {
    set_trouble(fmt::format("there is no MutatingWebhookConfiguration {}; upgrade the chart with webhook.enabled=true", kWebhookName));
    return Outcome{};
  }
  if (is_external(*configuration)) {
    set_trouble(external_trouble(*configuration));
    return Outcome{};
  }
  const auto secret = parts_.cluster.secrets().get({parts_.cluster.ns(), kWebhookSecret});
  const auto step = next(secret.get(), *configuration);
  if (!step) return fail(step.error());
  if (step->changes.empty() && published_bundle(*configuration) == step->ca_bundle && is_owned(secret.get(), *configuration)) {
    set_trouble("");
    return again_at(*step, "");
  }
  auto renewed = renew();
  if (renewed) {
    set_trouble("");
  } else if (renewed.error().code == ErrorCode::kConflict) {
    return Outcome{.again = kConflictPause};
  } else {
    set_trouble(fmt::format("its certificates could not be written: {}", renewed.error().message));
  }
  return renewed;
}

// By what the API server has now: a cache that lags would lead to a second CA.
Result<Outcome> WebhookReconciler::renew() {
  const auto configuration = parts_.client.get(kube::kMutatingWebhooks, {"", kWebhookName});
  if (!configuration) return fail(configuration.error());
  const auto got = parts_.client.get(kube::kSecrets, {parts_.cluster.ns(), kWebhookSecret});
  if (!got && got.error().code != ErrorCode::kNotFound) return fail(got.error());
  const Json* secret = got ? &*got : nullptr;
  const auto step = next(secret, *configuration);
  if (!step) return fail(step.error());
  std::string changed;
  if (!step->changes.empty() || !is_owned(secret, *configuration)) {
    const auto written = write_secret(secret, *configuration, *step);
    if (!written) return fail(written.error());
    add_word(changed, fmt::format("Secret/{}", kWebhookSecret));
  }
  // After the Secret, so that what is trusted is never lost.
  if (published_bundle(*configuration) != step->ca_bundle) {
    const auto written = write_bundle(*configuration, step->ca_bundle);
    if (!written) return fail(written.error());
    add_word(changed, "caBundle");
  }
  return again_at(*step, std::move(changed));
}

Result<bool> WebhookReconciler::write_secret(const Json* live, const Json& configuration, const admission::CertificateStep& step) {
  Json secret = live != nullptr ? *live : Json{{"type", "kubernetes.io/tls"}};
  auto& metadata = secret["metadata"];
  metadata["name"] = kWebhookSecret;
  metadata["namespace"] = parts_.cluster.ns();
  metadata["labels"]["app.kubernetes.io/name"] = "cistern";
  metadata["labels"]["app.kubernetes.io/managed-by"] = "cistern";
  metadata["ownerReferences"] = secret_owner(configuration);
  Json data = Json::object();
  for (const auto& [key, value] : step.data) data[key] = to_base64(value);
  secret["data"] = std::move(data);
  const auto written = live != nullptr ? parts_.client.replace(kube::kSecrets, secret) : parts_.client.create(kube::kSecrets, secret);
  if (!written) return fail(written.error());
  std::string note;
  for (const auto& change : step.changes) note += (note.empty() ? "" : "; ") + change;
  if (note.empty()) return true;
  spdlog::info("webhook certificates: {}", note);
  Json about{{"apiVersion", kube::kMutatingWebhooks.api_version()},
             {"kind", kube::kMutatingWebhooks.kind},
             {"metadata", configuration.at("metadata")}};
  parts_.events.record(about, kube::EventType::kNormal, "CertificatesRenewed", "Renew", fmt::format("Webhook certificates: {}.", note));
  return true;
}

// A list is replaced as a whole: only if nobody has changed it meanwhile.
Result<bool> WebhookReconciler::write_bundle(const Json& configuration, const std::string& bundle) {
  Json webhooks = webhooks_of(configuration);
  for (auto& webhook : webhooks) webhook["clientConfig"]["caBundle"] = to_base64(bundle);
  const Json patch{{"metadata", {{"resourceVersion", kube::metadata(configuration, "resourceVersion")}}},
                   {"webhooks", std::move(webhooks)}};
  const auto patched = parts_.client.merge_patch(kube::kMutatingWebhooks, {"", kWebhookName}, patch);
  return patched ? Result<bool>(true) : fail(patched.error());
}

}  // namespace cistern::reconcile
