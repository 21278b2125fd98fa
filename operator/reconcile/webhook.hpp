// The webhook as the cluster has it: its Secret and its configuration. Every replica shows the certificate that the Secret holds; the
// leader makes and renews what is in the Secret and keeps the caBundle of the MutatingWebhookConfiguration, unless somebody else does.
// What is decided when is admission/certificates.hpp's.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "operator/admission/certificates.hpp"
#include "operator/reconcile/controller.hpp"
#include "operator/reconcile/state.hpp"

namespace cistern::reconcile {

inline constexpr const char* kWebhookSecret = "cistern-webhook";

struct WebhookOptions {
  // Else nobody is injected, and what was made for it goes.
  bool enabled = false;
  // Secret and caBundle are kept by others, such as cert-manager. So they are too where the configuration has an annotation
  // cert-manager.io/inject-ca-from….
  bool external_certificates = false;
  // What serves it on this replica. Called on one thread.
  std::function<void(std::shared_ptr<const admission::Rules>)> use_rules = {};
  std::function<Result<void>(const std::string& cert_pem, const std::string& key_pem)> use_certificate = {};
};

// The caBundle of a MutatingWebhookConfiguration, decoded; empty unless all of its webhooks have the same.
std::string published_bundle(const Json& configuration);

// serve() by one thread, reconcile() by one thread, ready() by any.
class WebhookReconciler {
 public:
  // `changed`: why the webhook is of no use has changed, which policies' status tells.
  WebhookReconciler(const Parts& parts, State& state, WebhookOptions options, std::function<void()> changed)
      : parts_(parts), state_(state), options_(std::move(options)), changed_(std::move(changed)) {}

  const WebhookOptions& options() const { return options_; }

  // On every replica: the rules and the certificate that are there now are used from now on.
  void serve(std::shared_ptr<const admission::Rules> rules);
  Result<Outcome> serve_certificate();
  // Whether this replica has both.
  bool ready() const { return has_rules_ && has_certificate_; }

  // On the leader.
  Result<Outcome> reconcile();

 private:
  Result<Outcome> renew();
  Result<bool> write_secret(const Json* live, const Json& configuration, const admission::CertificateStep& step);
  Result<bool> write_bundle(const Json& configuration, const std::string& bundle);
  bool is_external(const Json& configuration) const;
  std::string external_trouble(const Json& configuration) const;
  Outcome again_at(const admission::CertificateStep& step, std::string changed) const;
  Result<admission::CertificateStep> next(const Json* secret, const Json& configuration) const;
  void set_trouble(const std::string& trouble);

  const Parts& parts_;
  State& state_;
  const WebhookOptions options_;
  const std::function<void()> changed_;
  std::string shown_;  // hash of the pair that was taken, or refused, last
  std::atomic<bool> has_rules_{false}, has_certificate_{false};
};

}  // namespace cistern::reconcile
