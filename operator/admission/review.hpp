// AdmissionReview, admission.k8s.io/v1: the API server's question and our answer. Pure; any bytes are taken.
//
// What is a review gets an answer that allows, whatever it is about; 400 is for what is none, and means to the API server that the webhook
// has failed, which it ignores (failurePolicy). So either way the pod is created.
#pragma once

#include <string>
#include <string_view>

#include "operator/admission/decision.hpp"

namespace cistern::admission {

struct Reviewed {
  unsigned status = 200;  // or 400
  std::string body;       // JSON; with 400 text that says what was expected
  std::string ns;         // of the pod, where there was one; its name, or "NAME-*" where the API server will make it
  std::string pod;
  Decision decision;
};

// `rules` may be null: nothing is known yet, and nothing is changed.
Reviewed review(const Rules* rules, std::string_view body);

}  // namespace cistern::admission
