// The arrays of a regression as Python passes them.
#pragma once

#include <algorithm>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "regression/objective.hpp"

namespace hbm_fast::bindings {

using Optional = std::optional<Doubles>;

inline const double* data_of(const Optional& array, std::size_t size, const char* name) {
  if (!array) return nullptr;
  need_size(*array, size, name);
  return array->data();
}

inline Link to_link(const std::string& name) {
  if (name == "softmax") return Link::softmax;
  if (name == "log") return Link::log;
  if (name == "multinomial") return Link::multinomial;
  throw std::invalid_argument("link must be softmax, log or multinomial");
}

// The arrays of one regression, kept alive; only `softmax` has a design of the precision.
struct Problem {
  Doubles counts, design;
  Optional precision_design, weights, offset, precision_offset, penalty, precision_penalty;
  RegressionData data;

  Problem(const std::string& link_name, Doubles counts_, Doubles design_, Optional precision_design_, Optional weights_,
          Optional offset_, Optional precision_offset_, Optional penalty_, Optional precision_penalty_)
      : counts(std::move(counts_)),
        design(std::move(design_)),
        precision_design(std::move(precision_design_)),
        weights(std::move(weights_)),
        offset(std::move(offset_)),
        precision_offset(std::move(precision_offset_)),
        penalty(std::move(penalty_)),
        precision_penalty(std::move(precision_penalty_)) {
    const Link link = to_link(link_name);
    refuse_if(counts.ndim() != 2 || design.ndim() != 2 || counts.shape(0) != design.shape(0) || counts.shape(1) < 2,
              "counts and design must have shapes (N, K) and (N, P)");
    refuse_if((link == Link::softmax) != precision_design.has_value(), "the softmax link has a precision_design");
    refuse_if(precision_design && (precision_design->ndim() != 2 || precision_design->shape(0) != counts.shape(0)),
              "precision_design must have shape (N, Q)");
    const std::size_t n = extent(counts, 0);
    const std::size_t p = extent(design, 1);
    const std::size_t q = precision_design ? extent(*precision_design, 1) : 0;
    data = {.link = link,
            .n_rows = n,
            .n_categories = extent(counts, 1),
            .n_columns = p,
            .n_precision = q,
            .counts = counts.data(),
            .design = design.data(),
            .precision_design = q != 0 ? precision_design->data() : nullptr,
            .weights = data_of(weights, n, "weights"),
            .offset = data_of(offset, n, "offset"),
            .precision_offset = data_of(precision_offset, n, "precision_offset"),
            .penalty = data_of(penalty, p * p, "penalty"),
            .precision_penalty = data_of(precision_penalty, q * q, "precision_penalty")};
  }
};

// Adds the samplers to the submodule.
void register_regression_sampler(py::module_& m);

}  // namespace hbm_fast::bindings
